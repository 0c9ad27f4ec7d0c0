"""Training of detectors without diffusion: by steps, in one pass, and what is refused before either."""

import dataclasses
import json

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError, load
from diffad.data.toy import Toy
from diffad.registry import DATASETS, DETECTORS
from diffad.training.run import train
from diffad.types import DetectorExample

TOY = "data={name: toy, size: 32, count: 8}"
QUICK = [TOY, "space.size=32", "train.device=cpu", "train.batch_size=4", "train.validate_items=4"]
STEPS = ["train.steps=4", "train.validate_every=2", "train.checkpoint_every=2", "model.size=16"]


def train_quickly(folder, name, *changes):
    return train(load(name, [*QUICK, f"output={folder}", *changes]))


def test_steps_are_logged_validated_and_resumed(tmp_path):
    folder = train_quickly(tmp_path, "ae", *STEPS, "train.steps=2")
    assert folder.name == "pipeline"
    train_quickly(tmp_path, "ae", *STEPS)
    lines = [json.loads(line) for line in (tmp_path / "ae/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert {"loss", "val_loss"} <= set(lines[-1])
    assert list((tmp_path / "ae/samples").glob("*.png"))


def test_a_pass_sees_every_item_once_and_needs_no_steps(tmp_path):
    pipe = AnomalyPipeline.from_pretrained(train_quickly(tmp_path, "zscore", "model.size=32"))
    assert pipe.network.count.max() == 8
    assert (tmp_path / "zscore/samples/detections.png").is_file()


def test_a_pass_leaves_out_what_is_labelled_diseased(tmp_path, capsys, monkeypatch):
    class HalfDiseased(Toy):
        def __getitem__(self, index):
            return dataclasses.replace(super().__getitem__(index), label=int(index % 4 == 0))

    monkeypatch.setitem(DATASETS._parts, "toy", HalfDiseased)
    pipe = AnomalyPipeline.from_pretrained(train_quickly(tmp_path, "zscore", "model.size=32"))
    assert pipe.network.count.max() == 6
    assert "2 items that are labelled diseased are left out, as zscore learns" in capsys.readouterr().err


def test_batch_of_one_item_is_refused_where_normalisation_needs_two(tmp_path):
    with pytest.raises(
        ConfigError, match=r"train\.batch_size: expected at least 2, as 'ae' normalises over a"
    ):
        train_quickly(tmp_path, "ae", *STEPS, "train.batch_size=1")


def test_pca_says_how_many_scans_it_left_out():
    network = DETECTORS.build("pca", size=8, components=2, most=4)
    x, mask = torch.rand(7, 1, 8, 8), torch.ones(7, 1, 8, 8)
    for part in (slice(0, 3), slice(3, 7)):
        count = len(x[part])
        network.observe(
            DetectorExample(x[part], x[part], mask[part], mask[part] * 0, torch.zeros(count).long(), [])
        )
    with pytest.warns(UserWarning, match="pca learns from the first 4 training scans, and left out 3"):
        network.conclude()


def test_too_few_scans_for_a_pass_are_an_error_of_the_data(tmp_path):
    with pytest.raises(ConfigError, match="config key data: pca expected more than 16 training scans"):
        train_quickly(tmp_path, "zscore", "variant=pca", "model.size=16")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ([], "normal"),
        (["corrupt={tasks: [intensity], chance: 1.0, role: restore}"], "normal+synthetic"),
    ],
)
def test_what_was_learned_from_is_stored(tmp_path, changes, word):
    pipe = AnomalyPipeline.from_pretrained(train_quickly(tmp_path, "ae", *STEPS, *changes))
    assert pipe.supervision == word
    assert pipe.config.provenance["supervision"] == word


def test_a_denoiser_says_what_it_learned_from(tmp_path):
    words = [TOY, "space.size=32", "train.steps=2", "train.batch_size=2", "train.validate_items=2"]
    pipe = AnomalyPipeline.from_pretrained(train(load("smoke", [*words, f"output={tmp_path}"])))
    assert pipe.supervision == "normal"
    assert pipe.backbone is None
    x = torch.rand(1, 1, 32, 32)
    assert pipe.detect(x, torch.ones_like(x)).map.shape == (1, 1, 32, 32)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("ae", "sampler={name: chain}", "sampler: expected 'detect' with task detect, found 'chain'"),
        ("ae", "guidance={name: classifier_free}", "guidance: expected none with task detect"),
        ("ae", "space.code=haar", "space.code: expected pixels with task detect"),
        (
            "ae",
            "corrupt={tasks: [blend], role: condition}",
            "expected restore with task detect, found condition",
        ),
        ("smoke", "sampler={name: detect}", "sampler: expected another than 'detect' with task denoise"),
        ("ae", "model={name: unet2d}", "unknown detector 'unet2d'"),
        ("smoke", "model={name: ae}", "unknown model 'ae'"),
        ("ae", "model.latent=0", "channels, latent and hidden of at least 1"),
        ("ae", "model.size=50", "a size that is a multiple of 16, got 50"),
        ("ae", "space.neighbours=1", "neighbours"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(tmp_path, name, change, words):
    config = load(name, [*QUICK, f"output={tmp_path}", change])
    with pytest.raises(ConfigError, match=words.replace("'", "'")):
        train(config)
    assert not list(tmp_path.glob("*/pipeline"))
