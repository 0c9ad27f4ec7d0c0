"""A model folder is read whole before it is built; what is wrong is said by file, and costs no memory."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffad import AnomalyPipeline
from diffad.io.digests import RECORD
from diffad.models.auxiliary import load_network
from diffad.models.folder import ModelError
from diffad.registry import MODELS
from tests.fuzz.model_target import make_pipeline

INDEX, NETWORK = "model_index.json", "network/config.json"
SCHEDULER = "scheduler/scheduler_config.json"
WEIGHTS = "network/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "model"
    make_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def model(original, tmp_path):
    """A model folder that a test may harm."""
    return shutil.copytree(original, tmp_path / "harmed")


def change(path, key, value):
    values = json.loads(path.read_text())
    *keys, last = key.split(".")
    inner = values
    for k in keys:
        inner = inner[k]
    inner[last] = value
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("file", "key", "value", "said"),
    [
        (INDEX, "postprocess.erosion", 10**9, r"postprocess\.erosion: expected a number in \[0, 256\]"),
        (INDEX, "postprocess.erosion", 8, r"postprocess\.erosion below half of space\.size = 16, found 8"),
        (INDEX, "calibration.thresholds", {"0.01": "x"}, "calibration: could not convert"),
        (INDEX, "calibration.thresholds", [1], "calibration: expected numbers by rates"),
        (INDEX, "calibration.thresholds", {"0.05": 0.5}, "one of the calibrated false-positive rates 0.05"),
        (INDEX, "calibration.thresholds", {"0.01": 0.1, "0.05": 0.5}, "thresholds that fall"),
        (INDEX, "calibration.scans", -1, "expected scans and pixels"),
        (INDEX, "calibration.survival.shares", [1.0], "as many shares as scores"),
        (INDEX, "calibration.survival", 5, "expected a table"),
        (INDEX, "calibration", "x", "expected calibration as a mapping"),
        (INDEX, "noise.octaves", 10**9, "expected octaves to be a number of at most 32"),
        (INDEX, "noise.octaves", "six", "expected octaves to be a whole number, got 'six'"),
        (INDEX, "score.scores", ["x"], "with a name"),
        (INDEX, "sampler.level", 51, r"sampler: expected a level in 0\.\.50, found 51"),
        (INDEX, "sampler.name", "chian", "unknown sampler 'chian'; did you mean 'chain'"),
        (INDEX, "sequences", ["t1", "t2"], "expected sequences as 1 names"),
        (INDEX, "provenance", [1], "expected provenance as a mapping"),
        (INDEX, "postproces", {}, "expected keys of a pipeline, found 'postproces'"),
        (NETWORK, "channels", [10**6, 10**6], "expected channels to be a number of at most 8192"),
        (NETWORK, "channels", [4096, 4096], "expected .* of shape"),
        (NETWORK, "channels", "x", "expected options of UNet2D that fit"),
        (NETWORK, "dropout", float("nan"), "expected dropout to be a finite number"),
        (NETWORK, "dropout", -0.5, r"expected dropout to be in \[0, 1\]"),
        (SCHEDULER, "beta_start", 1e-12, "levels that hold ever less"),
        (NETWORK, "layer", 1, "expected options of UNet2D, found 'layer'"),
        (NETWORK, "layers", None, "expected layers to be a whole number"),
        (SCHEDULER, "num_train_timesteps", 10**9, r"expected num_train_timesteps in 1\.\.10000"),
        (SCHEDULER, "beta_end", 1e9, "levels that hold ever less"),
        (SCHEDULER, "beta_schedule", "cubic", "expected options that fit"),
        (SCHEDULER, "prediction_type", "noise", "expected prediction_type epsilon"),
    ],
)
def test_value_that_cannot_be_is_refused_at_load(model, file, key, value, said):
    change(model / file, key, value)
    with pytest.raises(ModelError, match=said) as caught:
        AnomalyPipeline.from_pretrained(model)
    assert file in str(caught.value) or "shape" in said
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("key", ["noise", "sampler", "score", "space", "postprocess"])
def test_key_whose_default_would_be_another_method_is_missed(model, key):
    values = json.loads((model / INDEX).read_text())
    values.pop(key)
    (model / INDEX).write_text(json.dumps(values))
    with pytest.raises(ModelError, match=f"expected {key}, found none"):
        AnomalyPipeline.from_pretrained(model)


@pytest.mark.parametrize("content", ["[" * 100_000, "[1]", '{"a": 1', "\0", "5" * 5000])
@pytest.mark.parametrize("file", [INDEX, NETWORK, SCHEDULER, "classifier/config.json"])
def test_json_that_is_no_mapping_is_refused_by_name(model, file, content):
    (model / file).write_text(content)
    with pytest.raises(ModelError, match=f"{file}: expected a JSON mapping, found"):
        AnomalyPipeline.from_pretrained(model)


def test_flipped_bit_in_the_weights_is_seen_by_their_checksum(model):
    content = bytearray((model / WEIGHTS).read_bytes())
    content[-3] ^= 1
    (model / WEIGHTS).write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is not what was written, by its checksum"):
        AnomalyPipeline.from_pretrained(model)
    (model / RECORD).unlink()  # as in models of older versions
    AnomalyPipeline.from_pretrained(model)


def test_weights_that_are_not_finite_are_refused(model):
    weights = load_file(model / WEIGHTS)
    weights["unet.conv_in.bias"][0] = float("nan")
    save_file(weights, model / WEIGHTS, metadata={"format": "pt"})
    (model / RECORD).unlink()
    with pytest.raises(ModelError, match="expected finite weights, found others in unet"):
        AnomalyPipeline.from_pretrained(model)


def test_part_that_the_caller_brings_is_not_looked_at(model):
    shutil.rmtree(model / "classifier")
    network = MODELS.build("classifier", channels=[8], layers=1, groups=4, attention=False)
    assert AnomalyPipeline.from_pretrained(model, classifier=network).classifier is network


OPTIONS = {
    "beside": {"backbone": {"name": "unet2d", "channels": [8], "layers": 1}},
    "labelled": {"backbone": {"name": "unet2d", "channels": [8], "layers": 1, "embedding": 128}},
    "conditioned": {
        "backbone": {
            "name": "unet2d",
            "channels": [8],
            "groups": 4,
            "layers": 1,
            "film": True,
            "embedding": 16,
        },
        "encoder": {"depth": 10, "width": 16, "planes": 8},
    },
    "adm": {"base": 32, "mults": [1], "layers": 1},
    "unet2d": {"channels": [8], "layers": 1},
    "unet3d": {"channels": [8], "layers": 1},
    "dae": {"width_exponent": 2, "depth": 2},
    "dit": {"width": 8, "depth": 1, "heads": 2},
    "dtunet": {"patch": 2, "width": 8, "depth": 2, "heads": 2, "grid": 2},
    "uvit": {"width": 8, "depth": 2, "heads": 2},
    "classifier": {"channels": [8], "layers": 1, "attention": False},
    "autoencoder": {"stem": 8, "down": [4, 4], "up": [4, 4]},
}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_network_comes_back_from_its_folder(tmp_path, name):
    torch.manual_seed(0)
    try:
        network = MODELS.build(name, **OPTIONS[name])
    except (ValueError, KeyError):
        network = MODELS.build(name, backbone={"name": "unet2d", "channels": [8], "layers": 1})
    network.save_pretrained(tmp_path)
    again = load_network(tmp_path).state_dict()
    assert all(torch.equal(again[k], v) for k, v in network.state_dict().items())
