"""From a saliency to a region, counted voxel by voxel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.samplers.region import select_region


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def point(*shape):
    """One voxel of 1 in the middle of channel 0."""
    saliency = torch.zeros(shape)
    saliency[(0, 0, *(n // 2 for n in shape[2:]))] = 1
    return saliency


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3),
    st.integers(2, 12),
    st.sampled_from([0.5, 0.25, 0.125]),
    st.sampled_from([2, 5, 1000]),
    st.integers(0, 99),
)
def test_region_is_what_exceeds_the_joint_quantile(channels, side, share, values, seed):
    drawn = torch.randint(values, (1, channels, side, side), generator=torch.Generator().manual_seed(seed))
    saliency = drawn.double()
    peaks = saliency.amax((2, 3), keepdim=True).clamp(min=1)
    scaled = (saliency / peaks).numpy()
    found = select_region(saliency, share, dilate=1, per_channel=True)
    assert np.array_equal(found.numpy() == 1, scaled > np.quantile(scaled, 1 - share))


@pytest.mark.parametrize("shape", [(1, 2, 15, 15), (1, 2, 9, 9, 9)])
@pytest.mark.parametrize("width", [1, 3, 5])
def test_a_point_grows_to_a_square_or_a_cube(shape, width):
    found = select_region(point(*shape), dilate=width)
    assert found.shape == (1, 1, *shape[2:])
    assert int(found.sum()) == width ** (len(shape) - 2)


def test_channels_share_the_union_or_have_their_own():
    saliency = torch.cat([point(1, 1, 9, 9), point(1, 1, 9, 9).roll(3, dims=3)], dim=1)
    own, shared = (select_region(saliency, dilate=1, per_channel=each) for each in (True, False))
    assert own.shape == (1, 2, 9, 9)
    assert own.sum((2, 3)).tolist() == [[1, 1]]
    assert torch.equal(shared, own.amax(1, keepdim=True))
    assert int(shared.sum()) == 2


def test_channels_of_any_scale_count_alike():
    saliency = rand(1, 3, 12, 12)
    scaled = saliency * torch.tensor([1.0, 64.0, 0.125])[:, None, None]
    assert torch.equal(select_region(scaled, per_channel=True), select_region(saliency, per_channel=True))


def test_one_quantile_lets_a_channel_take_more_than_its_share():
    saliency = torch.cat([0.9 + 0.1 * rand(1, 1, 10, 10), rand(1, 1, 10, 10, seed=1) ** 8], dim=1)
    kept = select_region(saliency, share=0.25, dilate=1, per_channel=True).sum((2, 3))[0]
    assert kept.sum() == 50
    assert kept[0] > 40


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_where_nothing_stands_out_the_region_is_empty(value):
    assert not select_region(torch.full((2, 3, 8, 8), value)).any()


def test_share_is_that_of_the_brain_and_the_region_stays_in_it():
    brain = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    brain[..., 5:15, 5:15] = True
    saliency = rand(1, 1, 20, 20)
    saliency[~brain] = 5
    assert int(select_region(saliency, 0.1, 1, brain).sum()) == 10
    grown = select_region(saliency, 0.1, 5, brain)
    assert grown.sum() > 10
    assert not grown[~brain].any()
    assert torch.equal(select_region(saliency, 0.1, 5, brain.float()), grown)


def test_an_empty_brain_has_an_empty_region():
    brain = torch.zeros(2, 1, 8, 8)
    brain[1] = 1
    found = select_region(rand(2, 1, 8, 8), brain=brain)
    assert not found[0].any()
    assert found[1].any()


def test_item_alone_equals_item_in_batch():
    saliency, brain = rand(3, 2, 8, 9), rand(3, 1, 8, 9, seed=1) < 0.8
    together = select_region(saliency, brain=brain)
    for i in range(3):
        assert torch.equal(select_region(saliency[i : i + 1], brain=brain[i : i + 1])[0], together[i])


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_shares_out_of_range_raise(share):
    with pytest.raises(ValueError, match=r"expected share in \(0, 1\), got"):
        select_region(rand(1, 1, 8, 8), share=share)


def test_even_widths_raise():
    with pytest.raises(ValueError, match="expected width odd"):
        select_region(rand(1, 1, 8, 8), dilate=4)


def test_shapes_that_do_not_fit_raise():
    with pytest.raises(ValueError, match=r"expected saliency of shape \(B, C, \*S\)"):
        select_region(rand(8, 8))
    with pytest.raises(ValueError, match=r"expected brain of shape \(2, 1, 8, 8\), got \(1, 1, 8, 8\)"):
        select_region(rand(2, 3, 8, 8), brain=rand(1, 1, 8, 8))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_saliency_that_is_not_finite_raises(value):
    saliency = rand(1, 1, 8, 8)
    saliency[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match="expected a finite saliency"):
        select_region(saliency)
