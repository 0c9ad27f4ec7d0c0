"""A network that knows the clean slice: what is filled is the truth, wherever the holes lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.config import SpaceConfig, from_dict
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.fill import FillOptions, fill_scan
from diffad.fill.fill import close_region
from diffad.fill.lesion import plan_region
from diffad.fill.simple import fill_harmonic
from diffad.inference.scan import read_source
from diffad.inference.stacking import make_stacks, measure_windows
from diffad.pipeline import AnomalyPipeline
from tests.helpers.cohorts import AFFINE, SHAPE, brain, inside, write_model

TRUTH = brain(3)
EXACT = {"space": {"size": max(SHAPE)}}
"""A grid whose pixels are those of the scan, so that nothing is resampled."""
TOLERANCE = 2e-4
"""Rounding of intensities near 100 in single precision, there and back."""
DILATE = 2.0


def hole(*boxes):
    mask = np.zeros(SHAPE, bool)
    for box in boxes:
        mask[tuple(slice(*pair) for pair in box)] = True
    return mask


ONE = hole([(9, 13), (11, 15), (3, 6)])
TWO = hole([(9, 11), (8, 11), (3, 5)], [(13, 15), (16, 18), (5, 7)])


@pytest.fixture
def know(tmp_path_factory, monkeypatch):
    """Return a function that makes a model that knows a clean scan, for a hole in it."""
    pipe = AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("model"), settings=EXACT))
    pipe.scheduler.register_to_config(prediction_type="sample")

    def learn(truth, holed, lesion):
        clean = place_slices(pipe, truth, holed, lesion)
        seen = []

        def forward(network, x, *_, **__):
            assert len(x) == len(clean), "the slices of a hole are one batch, in order"
            seen.append(x)
            return clean.to(x)

        monkeypatch.setattr(type(pipe.network), "run_core", forward)
        pipe.seen = seen
        return pipe

    return learn


def place_slices(pipe, truth, holed, lesion):
    """Bring the slices of the truth through a hole to where the network sees those of the closed scan."""
    volume = Volume(holed[None], AFFINE)
    region = plan_region(lesion, inside(), volume, DILATE)
    closed = Volume(close_region(volume, region)[None], AFFINE)
    space = Space(from_dict(SpaceConfig, dict(pipe.config.space)))
    (window,) = measure_windows(read_source(closed, region.brain), space)
    source = read_source(Volume(truth[None], AFFINE), region.brain)
    planes = np.flatnonzero(region.fill_mask.any((0, 1)))
    (stack,) = make_stacks(source, "axial", (int(planes[0]), int(planes[-1]) + 1), 0)
    x, _, _ = space.place(stack.image, stack.brain, stack.spacing, stack.centre, window)
    return 2 * x - 1


def make_hole(lesion):
    return np.where(lesion, 999, TRUTH).astype(np.float32)


@pytest.mark.parametrize("lesion", [ONE, TWO], ids=["one hole", "two holes"])
@pytest.mark.parametrize("more", [{}, {"repeats": 3}, {"members": 2}, {"level": 100, "steps": 7}])
def test_what_is_filled_is_the_truth_and_the_rest_stays_bit_for_bit(know, lesion, more):
    holed = make_hole(lesion)
    pipe = know(TRUTH, holed, lesion)
    options = FillOptions(**{"dilate": DILATE, "level": 20, "steps": 2, "batch_size": 16} | more)
    filled = fill_scan(pipe, Volume(holed[None], AFFINE), lesion.astype(np.float32), inside(), options)
    region = filled.region.fill_mask
    assert region.sum() > lesion.sum()
    assert np.array_equal(filled.image[~region], holed[~region])
    assert np.abs(filled.image - TRUTH)[region].max() < TOLERANCE
    assert pipe.seen


@settings(max_examples=15, deadline=None)
@given(st.sets(st.tuples(st.integers(8, 15), st.integers(9, 18), st.integers(3, 6)), min_size=2, max_size=12))
def test_smooth_fill_does_not_depend_on_the_order_of_voxels_or_components(voxels):
    region = np.zeros(SHAPE, bool)
    region[tuple(np.array(sorted(voxels)).T)] = True
    spacing = np.array([2.0, 2.0, 3.0])
    known = inside() & ~region
    usual = fill_harmonic(TRUTH, region, known, spacing)
    for axes in (0, 1, 2, (0, 1, 2)):
        turned = fill_harmonic(*(np.flip(a, axes) for a in (TRUTH, region, known)), spacing)
        assert np.abs(np.flip(turned, axes) - usual).max() < 0.01
    order = (2, 0, 1)
    turned = fill_harmonic(*(a.transpose(order) for a in (TRUTH, region, known)), spacing[[*order]])
    assert np.abs(turned - usual.transpose(order)).max() < 0.01


def test_holes_apart_may_be_closed_one_after_the_other_in_any_order():
    parts = [hole(((9, 11), (8, 11), (3, 5))), hole(((13, 15), (16, 18), (5, 7)))]
    spacing = np.array([2.0, 2.0, 3.0])
    at_once = fill_harmonic(make_hole(TWO), TWO, inside() & ~TWO, spacing)
    for order in (parts, parts[::-1]):
        image = make_hole(TWO)
        for number, part in enumerate(order):
            rest = np.logical_or.reduce([np.zeros(SHAPE, bool), *order[number + 1 :]])
            image = fill_harmonic(image, part, inside() & ~part & ~rest, spacing)
        assert np.abs(image - at_once).max() < 0.01


def test_network_fills_all_holes_at_once_whatever_their_order_in_the_mask(know):
    """The mask is one array: labels, memory order and batches make no difference to the fill."""
    holed = make_hole(TWO)
    pipe = know(TRUTH, holed, TWO)
    options = FillOptions(DILATE, level=20, steps=2, batch_size=16)
    scan = Volume(holed[None], AFFINE)
    first = fill_scan(pipe, scan, TWO.astype(np.float32), inside(), options).image
    again = fill_scan(pipe, scan, np.asfortranarray(TWO * 5.0), inside(), options).image
    assert np.array_equal(first, again)


def test_fill_of_a_network_with_noise_is_the_same_in_any_batch(tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp("model"), settings=EXACT)
    pipe = AnomalyPipeline.from_pretrained(folder)
    scan, lesion = Volume(make_hole(TWO)[None], AFFINE), TWO.astype(np.float32)
    fills = [
        fill_scan(pipe, scan, lesion, inside(), FillOptions(DILATE, level=20, steps=2, batch_size=size)).image
        for size in (1, 2, 16)
    ]
    assert np.abs(fills[0] - TRUTH).max() > 1
    assert all(np.abs(image - fills[0]).max() < 0.01 for image in fills[1:])
