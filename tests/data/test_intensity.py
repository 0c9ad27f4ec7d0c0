"""Intensities reach [0, 1] the way the formula says, item by item."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.intensity import (
    IntensityWindow,
    make_ct_window,
    make_percentile_window,
    make_percentile_windows,
    normalise,
    normalise_batch,
)
from diffad.data.volume import VolumeError


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), headroom=st.sampled_from([0.0, 0.15, 0.5]), channels=st.integers(1, 3))
def test_percentiles_land_on_zero_and_one_minus_headroom(seed, headroom, channels):
    rng = np.random.default_rng(seed)
    x, mask = rng.gamma(3, 100, (channels, 8, 9, 7)).astype(np.float32), rng.random((1, 8, 9, 7)) > 0.4
    window = make_percentile_window(x, mask, low=2, high=98, headroom=headroom)
    for channel in range(channels):
        low, high = np.percentile(x[channel][mask[0]], (2, 98))
        assert window.lower[channel] == pytest.approx(low)
        ends = (np.array([low, high]) - window.lower[channel]) / (
            window.upper[channel] - window.lower[channel]
        )
        np.testing.assert_allclose(ends, [0, 1 - headroom], atol=1e-6)


def test_lesion_brighter_than_all_tissue_is_not_clipped_to_it():
    x = np.linspace(100, 200, 1000, dtype=np.float32).reshape(1, 10, 100)
    window = make_percentile_window(x, np.ones((10, 100), bool))
    tissue, lesion = window.apply(np.array([[[200.0, 210.0]]], np.float32))[0, 0]
    assert 0.84 < tissue < lesion < 1


def test_low_none_keeps_the_zero_of_the_scan():
    window = make_percentile_window(
        np.arange(1.0, 101.0).reshape(1, 10, 10), np.ones((10, 10)), low=None, headroom=0
    )
    assert window.lower == (0.0,)
    assert window.upper[0] == pytest.approx(99.01)


@settings(deadline=None, max_examples=30)
@given(lower=st.integers(-1000, 1000), width=st.integers(1, 3000), seed=st.integers(0, 2**31))
def test_invert_undoes_apply_inside_the_window(lower, width, seed):
    window = IntensityWindow((lower, -5.0), (lower + width, 5.0))
    y = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(window.apply(window.invert(y)), y, atol=1e-3)
    array = y[0].numpy().astype(np.float64)
    np.testing.assert_allclose(window.apply(window.invert(array)), array, atol=1e-9)


def test_arrays_are_single_scans_and_tensors_are_batches():
    window = IntensityWindow((0.0, 10.0), (1.0, 20.0))
    array = np.stack([np.full((3, 3), 0.25), np.full((3, 3), 15.0)]).astype(np.float32)
    expected = np.stack([np.full((3, 3), 0.25), np.full((3, 3), 0.5)])
    np.testing.assert_array_equal(window.apply(array), expected)
    batch = torch.from_numpy(array)[None]
    assert torch.equal(window.apply(batch)[0], torch.from_numpy(expected).float())
    assert torch.equal(window.apply(batch[0], channel_axis=0), window.apply(batch)[0])
    assert window.apply(array).dtype == np.float32
    assert window.apply(batch).dtype == torch.float32


def test_integers_become_floats():
    window = make_ct_window()
    assert window.apply(np.array([[0, 40, 80]], np.int16)).tolist() == [[0, 0.5, 1]]
    assert window.apply(torch.tensor([[0, 40, 80]], dtype=torch.int16), channel_axis=0).tolist() == [
        [0, 0.5, 1]
    ]


def test_ct_window_clips_bone_and_air():
    window = make_ct_window(40, 80)
    assert (window.lower, window.upper) == ((0.0,), (80.0,))
    assert window.apply(np.array([[-1024.0, 20.0, 1500.0]])).tolist() == [[0, 0.25, 1]]
    assert make_ct_window(channels=2).lower == (0.0, 0.0)


def test_background_is_zero_whatever_the_window():
    x, mask = torch.full((2, 1, 4, 4), 50.0), torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    mask[:, :, 1:3, 1:3] = True
    y = normalise(x, mask, IntensityWindow((0.0,), (100.0,)))
    assert torch.equal(y, 0.5 * mask)
    array = normalise(x[0].numpy(), mask[0].numpy(), IntensityWindow((0.0,), (100.0,)))
    np.testing.assert_array_equal(array, y[0].numpy())
    assert array.dtype == np.float32


def test_item_alone_equals_item_in_batch():
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(3, 2, 6, 7, generator=generator) * torch.tensor([1.0, 50.0, 900.0])[:, None, None, None]
    mask = torch.rand(3, 1, 6, 7, generator=generator) > 0.3
    y = normalise_batch(x, mask, make_percentile_windows(x, mask))
    for i in range(3):
        window = make_percentile_window(x[i], mask[i])
        assert torch.equal(normalise(x[i : i + 1], mask[i : i + 1], window)[0], y[i])
    assert float(y.min()) == 0
    assert float(y.max()) <= 1


def test_scan_without_contrast_in_the_mask_raises():
    x = np.ones((2, 4, 4))
    x[0, :2] = 5
    with pytest.raises(VolumeError, match="channel 1"):
        make_percentile_window(x, np.ones((4, 4)))


def test_empty_or_foreign_masks_raise():
    x = np.random.default_rng(0).random((1, 4, 4))
    with pytest.raises(VolumeError, match="got an empty one"):
        make_percentile_window(x, np.zeros((4, 4)))
    with pytest.raises(VolumeError, match=r"expected a brain mask \(4, 4\), got shape \(4, 5\)"):
        make_percentile_window(x, np.ones((4, 5)))
    with pytest.raises(ValueError, match="each of 2 items, got 1"):
        make_percentile_windows(torch.rand(2, 1, 4, 4), torch.ones(1, 1, 4, 4))


@pytest.mark.parametrize("options", [{"low": 99, "high": 1}, {"high": 101}, {"headroom": 1.0}, {"low": -1}])
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match="expected 0 <= low < high <= 100"):
        make_percentile_window(np.random.default_rng(0).random((1, 4, 4)), np.ones((4, 4)), **options)


@pytest.mark.parametrize("bounds", [((1.0,), (1.0,)), ((0.0, 0.0), (1.0,)), ((0.0,), (np.inf,)), ((), ())])
def test_impossible_windows_raise(bounds):
    with pytest.raises(ValueError, match="lower < upper"):
        IntensityWindow(*bounds)


def test_wrong_number_of_channels_raises():
    with pytest.raises(ValueError, match=r"expected 1 channels on axis 1, got shape \(1, 2, 3, 3\)"):
        make_ct_window().apply(torch.zeros(1, 2, 3, 3))
