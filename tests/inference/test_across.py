"""Smoothing of maps across slices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffad.data.volume import Volume
from diffad.inference.across import smooth_across
from diffad.inference.scan import ScanSource, read_source

AXES = ("sagittal", "coronal", "axial")


def make_source(spacing=(1.0, 2.0, 3.0), shape=(20, 22, 24)):
    image = np.random.default_rng(0).uniform(1, 2, (1, *shape)).astype(np.float32)
    return read_source(
        Volume(image, np.diag([*spacing, 1.0])), Volume(np.ones_like(image), np.diag([*spacing, 1.0]))
    )


def make_map(source, seed=0):
    return torch.rand(source.image[:, :1].shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("axis", AXES)
def test_inside_of_a_brain_it_is_a_gaussian_in_mm(axis):
    source = make_source(shape=(40, 42, 44))
    maps, index = make_map(source), AXES.index(axis)
    smooth = smooth_across(source, maps, torch.ones_like(maps, dtype=torch.bool), axis, 3.0)
    sd = 3.0 / (1.0, 2.0, 3.0)[index]
    middle = [slice(None)] * 5
    reach = int(4 * sd + 0.5)
    middle[2 + index] = slice(reach, maps.shape[2 + index] - reach)
    expected = ndimage.gaussian_filter1d(maps.numpy().astype(np.float64), sd, axis=2 + index)
    assert smooth[tuple(middle)].numel()
    np.testing.assert_allclose(smooth[tuple(middle)], expected[tuple(middle)], atol=1e-5)


def test_constant_maps_stay_up_to_the_edge_of_what_was_analysed():
    source = make_source()
    analysed = torch.zeros(1, 1, 20, 22, 24, dtype=torch.bool)
    analysed[..., 3:15, 5:20, 7:11] = True
    smooth = smooth_across(source, 2.5 * analysed.float(), analysed, "axial", 6.0)
    assert torch.allclose(smooth[analysed], torch.tensor(2.5))
    assert not smooth[~analysed].any()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(AXES), st.floats(0.5, 12), st.floats(0.1, 100), st.integers(0, 99))
def test_it_stays_in_range_and_knows_no_scale(axis, sd, gain, seed):
    source = make_source(shape=(9, 10, 11))
    maps = make_map(source, seed)
    analysed = make_map(source, seed + 1) > 0.3
    smooth = smooth_across(source, maps, analysed, axis, sd)
    assert smooth.max() <= maps[analysed].max() + 1e-5
    assert torch.allclose(
        smooth_across(source, gain * maps, analysed, axis, sd), gain * smooth, rtol=1e-3, atol=1e-4
    )
    outside = maps + 5 * (~analysed)
    assert torch.allclose(smooth_across(source, outside, analysed, axis, sd), smooth, atol=1e-5)


def test_what_lies_in_one_slice_alone_gets_weaker_than_what_goes_on():
    source = make_source()
    maps = torch.zeros(1, 1, 20, 22, 24)
    maps[..., 5, 5, 10], maps[..., 15, 15, 6:15] = 1.0, 1.0
    smooth = smooth_across(source, maps, torch.ones_like(maps, dtype=torch.bool), "axial", 3.0)
    assert smooth[0, 0, 5, 5, 10] < 0.5 < 0.99 < smooth[0, 0, 15, 15, 10]


def test_nothing_is_done_where_nothing_is_asked_or_no_distance_is_known():
    source = make_source()
    maps, analysed = make_map(source), torch.ones(1, 1, 20, 22, 24, dtype=torch.bool)
    assert smooth_across(source, maps, analysed, "axial", 0.0) is maps
    assert smooth_across(source, maps, analysed, "volume", 3.0) is maps
    tensor = ScanSource(source.image, source.brain)
    assert smooth_across(tensor, maps, analysed, "axial", 3.0) is maps
    flat = ScanSource(torch.rand(2, 1, 8, 8), torch.ones(2, 1, 8, 8, dtype=torch.bool))
    assert smooth_across(flat, flat.image, flat.brain, "axial", 3.0) is flat.image
