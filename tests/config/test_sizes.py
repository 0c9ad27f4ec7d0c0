"""The sizes and planes of the whole-brain model: windows hold the largest brains, and networks fit them."""

import pytest
import torch

from diffad.config import load
from diffad.data.slices import slice_spacing
from diffad.models.neighbours import check_neighbours
from diffad.registry import MODELS
from diffad.training.parts import build_part, check_parts

BRAIN = (146.0, 188.0, 152.0)
"""Width, length and height of the largest of 36 brains of two sites, in mm."""
SIZES = {
    (): (1.75, (112, 96)),
    ("fine",): (1.25, (160, 128)),
    ("neighbours",): (1.75, (112, 96)),
    ("t1",): (1.75, (112, 96)),
    ("flow",): (1.75, (112, 96)),
    ("sagittal",): (1.75, (96, 112)),
    ("coronal",): (1.75, (96, 96)),
    ("planes",): (1.75, (112, 96)),
    ("fine", "fine_planes"): (1.25, (160, 128)),
    ("fine", "neighbours"): (1.25, (160, 128)),
}


@pytest.fixture(params=SIZES, ids=lambda names: "-".join(names) or "plain")
def names(request):
    return request.param


def load_size(names):
    return load("brain_any", [f"variant={name}" for name in names])


def test_a_size_has_its_pixels_and_its_window(names):
    space = load_size(names).space
    assert (space.fov / space.size, space.window) == SIZES[names]


def test_windows_hold_a_brain_in_each_plane(names):
    """Rows and columns of a slice, whatever its plane; what moves a brain in training has 4 % to go."""
    space = load_size(names).space
    for axis in space.axes:
        window = space.window_of(("sagittal", "coronal", "axial").index(axis))
        sides = slice_spacing(BRAIN, axis)
        pixel = space.fov / space.size
        assert all(1.04 * side <= n * pixel for side, n in zip(sides, window, strict=True))


def test_networks_need_no_padding_and_their_parts_fit(names):
    config = load_size(names)
    with torch.device("meta"):
        network = build_part(MODELS, config.model, "model")
    check_parts(config)
    check_neighbours(network, config.space.neighbours)
    windows = [config.space.window, *config.space.further_windows]
    assert all(side % network.multiple == 0 for window in windows for side in window)
    assert network.takes_place


def test_finer_slices_are_noised_and_smoothed_over_as_many_mm():
    plain, fine = load_size(()), load_size(("fine",))
    ratio = 1.75 / 1.25
    assert fine.noise["feature_size"] == pytest.approx(ratio * plain.noise["feature_size"], rel=0.02)
    assert fine.augment.blur == pytest.approx(ratio * plain.augment.blur, rel=0.05)
    for name in ("median",):
        old, new = getattr(plain.postprocess, name), getattr(fine.postprocess, name)
        assert abs(new - ratio * old) <= 1
    widths = [config.score["scores"][1]["window"] for config in (plain, fine)]
    assert abs(widths[1] - ratio * widths[0]) <= 1


def test_all_sizes_have_one_network():
    """So that one may start from the weights of another."""
    counts = {}
    for names in SIZES:
        with torch.device("meta"):
            network = MODELS.build(**load_size(names).model)
        counts[names] = sum(p.numel() for p in network.parameters())
    plain = counts[()]
    wide = {names for names in SIZES if {"neighbours", "t1"} & set(names)}
    assert {count for names, count in counts.items() if names not in wide} == {plain}
    assert {counts[names] - plain for names in wide} == {2 * 4 * 9 * 64}
