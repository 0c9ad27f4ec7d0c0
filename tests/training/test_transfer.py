"""A pretrained encoder is loaded whole, or not at all."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffad.models.conditioned import Conditioned
from diffad.models.unet2d import UNet2D
from diffad.training.checkpoint import CheckpointError
from diffad.training.transfer import HEAD, OPTIONS, WEIGHTS, load_encoder, save_encoder
from tests.helpers.disk import fill_disk


def network(seed=1, **options):
    torch.manual_seed(seed)
    backbone = {"name": "unet2d", "channels": [8], "layers": 1, "attention": False}
    return Conditioned(backbone, {"depth": 10, "width": 4, "planes": 8, "norm": "batch", **options})


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


@pytest.fixture
def saved(tmp_path):
    """The folder of an encoder without its head."""
    return save_encoder(network(seed=7).encoder, tmp_path / "encoder", head=False, info={"steps": 3})


def change(folder, edit):
    weights = load_file(folder / WEIGHTS)
    edit(weights)
    save_file(weights, folder / WEIGHTS)


def refused(net, path, match):
    """Loading fails, names the folder, and leaves the network as it was."""
    before = state(net)
    with pytest.raises(CheckpointError, match=match) as error:
        load_encoder(net, path)
    assert str(path) in str(error.value)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("head", [True, False])
def test_loaded_encoder_is_the_saved_one_and_the_rest_is_kept(tmp_path, head):
    source, net = network(seed=7), network(seed=1)
    before = state(net)
    load_encoder(net, save_encoder(source.encoder, tmp_path / "encoder", head=head, info={}))
    kept = {f"encoder.{k}" for k in ([] if head else HEAD)}
    for name, value in net.state_dict().items():
        origin = source.state_dict() if name.startswith("encoder.") and name not in kept else before
        assert torch.equal(value, origin[name]), name
    assert not torch.equal(net.encoder.resnet.conv1.weight, before["encoder.resnet.conv1.weight"])


def test_file_holds_exactly_the_weights_it_says(saved):
    everything = set(network().encoder.state_dict())
    assert set(load_file(saved / WEIGHTS)) == everything - set(HEAD)
    assert everything > set(HEAD)
    described = json.loads((saved / OPTIONS).read_text())
    assert described["head"] is False
    assert described["encoder"] == network().encoder.options
    assert described["made"] == {"steps": 3}


def test_file_of_weights_may_be_named_itself(saved):
    net = network()
    load_encoder(net, saved / WEIGHTS)
    assert torch.equal(net.encoder.resnet.conv1.weight, load_file(saved / WEIGHTS)["resnet.conv1.weight"])


def test_missing_weight_raises_naming_it(saved):
    change(saved, lambda w: w.pop("resnet.layer2.0.conv1.weight"))
    refused(network(), saved, r"encoder.safetensors: .*resnet.layer2.0.conv1.weight is missing")


def test_missing_statistics_raise_naming_them(saved):
    change(saved, lambda w: w.pop("resnet.bn1.running_var"))
    refused(network(), saved, "resnet.bn1.running_var is missing")


def test_surplus_weight_raises_naming_it(saved):
    change(saved, lambda w: w.update({"resnet.layer5.weight": torch.zeros(1)}))
    refused(network(), saved, "resnet.layer5.weight belongs to no layer")


def test_weight_of_another_shape_raises_naming_both(saved):
    change(saved, lambda w: w.update({"resnet.conv1.weight": torch.zeros(8, 1, 3, 3)}))
    refused(network(), saved, r"resnet.conv1.weight has shape \(8, 1, 3, 3\), not \(8, 1, 7, 7\)")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_raise(saved, value):
    change(saved, lambda w: w["resnet.bn1.bias"].fill_(value))
    refused(network(), saved, "resnet.bn1.bias is not finite")


def test_head_that_the_file_denies_raises(saved):
    change(saved, lambda w: w.update({HEAD[0]: torch.zeros(4, 64)}))
    refused(network(), saved, "resnet.fc.weight belongs to no layer")


def test_head_that_the_file_promises_but_lacks_raises(saved):
    described = json.loads((saved / OPTIONS).read_text())
    (saved / OPTIONS).write_text(json.dumps({**described, "head": True}))
    refused(network(), saved, "resnet.fc.weight is missing; resnet.fc.bias is missing")


def test_many_odd_weights_are_counted(saved):
    change(saved, lambda w: [w.pop(k) for k in list(w)[:9]])
    refused(network(), saved, "and 6 more")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "group"}, "expected an encoder of norm = 'group', found 'batch'"),
        ({"depth": 18, "width": 6}, "expected an encoder of depth = 18, found 10; width = 6, found 4"),
    ],
)
def test_encoder_of_other_options_raises_naming_them(saved, options, message):
    refused(network(**options), saved, f"encoder.json: {message}")


def test_network_without_encoder_raises(saved):
    with pytest.raises(CheckpointError, match="expected a network with an encoder, got UNet2D"):
        load_encoder(UNet2D(channels=(8,)), saved)


@pytest.mark.parametrize("name", [OPTIONS, WEIGHTS])
@pytest.mark.parametrize("damage", ["absent", "cut", "other", "deep"])
def test_absent_or_damaged_file_raises_naming_it(saved, name, damage):
    path = saved / name
    content = path.read_bytes()
    path.unlink()
    if damage != "absent":
        others = {"cut": content[: len(content) // 2], "other": b'{"head": 1}', "deep": b"[" * 100_000}
        path.write_bytes(others[damage])
    refused(network(), saved, f"{name}: expected a pretrained encoder, found none")


def test_failed_write_leaves_the_earlier_encoder_whole(saved, monkeypatch):
    before = (saved / WEIGHTS).read_bytes()

    fill_disk(monkeypatch, "encoder")
    with pytest.raises(CheckpointError, match=r"cannot be written .*No space left"):
        save_encoder(network().encoder, saved, head=False, info={})
    assert (saved / WEIGHTS).read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["encoder"]
