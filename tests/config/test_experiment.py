"""Configs are read whole, checked at once, and written back as they were."""

import json

import pytest
import yaml

from diffad.config import (
    AugmentConfig,
    Config,
    ConfigError,
    PostprocessConfig,
    ScheduleConfig,
    SpaceConfig,
    TrainConfig,
    from_dict,
    list_configs,
    load,
    to_dict,
)
from diffad.registry import DATASETS, DETECTORS, GUIDANCES, MODELS, NOISES, SAMPLERS, SCORES

SECTIONS = {
    "schedule": ScheduleConfig,
    "space": SpaceConfig,
    "augment": AugmentConfig,
    "postprocess": PostprocessConfig,
    "train": TrainConfig,
}


@pytest.mark.parametrize("name", list_configs())
def test_shipped_config_survives_dict_json_and_yaml(name):
    config = load(name)
    assert from_dict(Config, config.to_dict()) == config
    assert from_dict(Config, json.loads(json.dumps(config.to_dict()))) == config
    assert from_dict(Config, yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config


@pytest.mark.parametrize("name", list_configs())
def test_shipped_config_names_parts_and_options_that_exist(name):
    config = load(name)
    SAMPLERS.build(**config.sampler)
    SCORES.build(**config.score)
    NOISES.build(**config.noise)
    (DETECTORS if config.task == "detect" else MODELS).build(**config.model)
    assert config.data["name"] in DATASETS
    assert config.guidance is None or GUIDANCES.build(**config.guidance)


def test_smoke_config_is_found_by_name_and_by_its_path_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load("smoke") == load("smoke.yaml") == load("configs/smoke.yaml")
    (tmp_path / "smoke").mkdir()
    assert load("smoke").name == "smoke"


def test_own_file_comes_before_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {**load("smoke").to_dict(), "name": "mine"}
    (tmp_path / "smoke.yaml").write_text(yaml.safe_dump(own))
    assert load("smoke.yaml").name == "mine"


@pytest.mark.parametrize("source", ["smoek", "elsewhere/smoke.yaml", "smoke.json", "/smoke.yaml"])
def test_missing_config_lists_the_shipped_ones(source):
    with pytest.raises(ConfigError, match=f"{source}: no such file; shipped configs: .*smoke"):
        load(source)


def test_overrides_reach_sections_and_parts():
    config = load("smoke", ["train.lr=2e-3", "noise.octaves=5", "noise.name=simplex", "guidance=null"])
    assert config.train.lr == 0.002
    assert config.noise["octaves"] == 5
    assert load("smoke", ["noise={name: gaussian}"]).noise == {"name": "gaussian"}


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_of_a_section_are_in_range_and_survive(section):
    default = SECTIONS[section]()
    assert from_dict(SECTIONS[section], to_dict(default)) == default


OUT_OF_RANGE = [
    ("name=a/b", "name: expected a plain name"),
    ("name=..", "name: expected a plain name"),
    ("name=''", "name: expected a plain name"),
    ("seed=-1", "seed: expected a number of at least 0, got -1"),
    ("train.steps=0", r"train\.steps: expected a number in \[1, 1000000000\], got 0"),
    ("train.keep_checkpoints=0", r"train\.keep_checkpoints"),
    ("train.validate_every=0", r"train\.validate_every"),
    ("train.checkpoint_every=0", r"train\.checkpoint_every"),
    ("train.lr=0", r"train\.lr"),
    ("train.lr=.nan", r"train\.lr"),
    ("train.clip_norm=0", r"train\.clip_norm"),
    ("train.ema_decay=1.0", r"train\.ema_decay: expected a number in \[0, 1\)"),
    ("train.loss=huber", r"train\.loss: expected one of l1, l2, got 'huber'"),
    ("train.mixed_precision=fp8", r"train\.mixed_precision: expected one of no, bf16, fp16"),
    ("train.device=tpu", r"train\.device"),
    ("train.levels=[0, 10]", r"train\.levels: expected 1 <= lowest <= highest"),
    ("train.levels=[20, 10]", r"train\.levels: expected 1 <= lowest <= highest"),
    ("train.levels=[1, 101]", r"train\.levels: expected levels of the schedule, 1\.\.100, got \(1, 101\)"),
    ("train.calibrate_fpr=[1.5]", r"train\.calibrate_fpr"),
    ("schedule.beta_schedule=cubic", r"schedule\.beta_schedule: expected one of linear"),
    ("schedule.prediction_type=noise", r"schedule\.prediction_type: expected one of epsilon"),
    ("schedule.beta_end=2", r"schedule\.beta_end"),
    ("space.size=0", r"space\.size"),
    ("space.fov=0", r"space\.fov"),
    ("space.axis=oblique", r"space\.axis: expected one of sagittal"),
    ("space.intensity=pet", r"space\.intensity"),
    ("space={low: 50, high: 40}", r"space\.high: expected more than space\.low = 50"),
    ("space.headroom=1", r"space\.headroom"),
    ("space.window=[16, 64]", r"space\.window: expected slices, and sizes in 1\.\.space\.size = 32"),
    ("space={axis: volume, window: [8, 8]}", r"space\.window"),
    ("postprocess.median=4", r"postprocess\.median: expected an odd width, got 4"),
    ("postprocess.erosion_rule=disc", r"postprocess\.erosion_rule: expected one of cross, average"),
    ("postprocess.pool=sum", r"postprocess\.pool: expected one of mean, max, topk"),
    ("postprocess.share=0", r"postprocess\.share"),
    ("postprocess.fpr=1", r"postprocess\.fpr"),
    ("augment.flip=2", r"augment\.flip"),
    ("augment.scale=1", r"augment\.scale"),
]


@pytest.mark.parametrize(("assignment", "said"), OUT_OF_RANGE)
def test_value_out_of_range_is_refused_when_it_is_read(assignment, said):
    with pytest.raises(ConfigError, match=f"^config key {said}"):
        load("smoke", [assignment])


def test_typo_is_an_error_with_a_suggestion():
    with pytest.raises(
        ConfigError, match=r"unknown config key 'train\.stpes'; did you mean 'train\.steps'\?"
    ):
        load("smoke", ["train.stpes=3"])
    with pytest.raises(ConfigError, match="unknown config key 'nosie'; did you mean 'noise'"):
        load("smoke", ["nosie.name=simplex"])
