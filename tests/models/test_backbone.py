"""What a network around another takes from it, and what it keeps for itself."""

import pytest
import torch

from diffad.denoise import takes_neighbours, takes_place
from diffad.models.backbone import BackboneNetwork
from diffad.registry import MODELS

BACKBONE = {"name": "unet2d", "channels": [8, 16], "layers": 1, "groups": 4}
TELLABLE = {**BACKBONE, "place": True, "neighbours": 2}
OPTIONS = {
    "beside": {},
    "bridge": {"widths": [4], "groups": 4},
    "conditioned": {"encoder": {"depth": 10, "width": 6, "planes": 8}},
    "detail": {},
    "labelled": {"width": 6},
}
PASSED = {
    "beside": ("place",),
    "bridge": (),
    "conditioned": ("place", "neighbours"),
    "detail": ("place",),
    "labelled": ("place", "neighbours"),
}


def build(name, backbone):
    return MODELS.build(name, backbone=backbone, **OPTIONS[name])


@pytest.mark.parametrize("name", OPTIONS)
def test_place_and_neighbours_are_passed_on_by_the_kinds_that_do(name):
    passes_neighbours = "neighbours" in PASSED[name]
    network = build(name, {**BACKBONE, "place": True, **({"neighbours": 2} if passes_neighbours else {})})
    assert takes_place(network) == ("place" in PASSED[name])
    assert takes_neighbours(network) == (2 if passes_neighbours else 0)


@pytest.mark.parametrize("name", OPTIONS)
def test_backbone_that_is_told_nothing_makes_a_network_that_is_told_nothing(name):
    network = build(name, BACKBONE)
    assert not takes_place(network)
    assert takes_neighbours(network) == 0


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("option", ["in_channels", "out_channels", "embedding"])
def test_what_the_network_around_it_chooses_is_refused(name, option):
    with pytest.raises(ValueError, match=f"expected a backbone without .*{option}.*, got {option}$"):
        build(name, {**BACKBONE, option: 1})


@pytest.mark.parametrize("name", [name for name in OPTIONS if "neighbours" not in PASSED[name]])
def test_neighbours_that_nobody_would_pass_on_are_refused(name):
    with pytest.raises(ValueError, match=r"without .*neighbours, got neighbours$"):
        build(name, TELLABLE)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("backbone", [{"channels": [8]}, "unet2d", None])
def test_backbone_without_a_name_is_refused(name, backbone):
    with pytest.raises(ValueError, match="expected a backbone with a name, got"):
        build(name, backbone)


@pytest.mark.parametrize("name", OPTIONS)
def test_weights_and_padding_are_those_of_the_backbone(name):
    network = build(name, BACKBONE)
    assert isinstance(network, BackboneNetwork)
    assert network.multiple == network.backbone.multiple == 2
    keys = [key for key in network.state_dict() if key.startswith("backbone.")]
    assert keys == [f"backbone.{key}" for key in network.backbone.state_dict()]


def test_option_of_the_same_name_does_not_hide_the_backbone():
    network = build("detail", BACKBONE)
    assert isinstance(network.backbone, torch.nn.Module)
    assert network.config.backbone == BACKBONE
