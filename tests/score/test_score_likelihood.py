"""Scores of a sampler that finds a region of its own: its map, and the residual relative to its largest."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.registry import SCORES
from diffad.types import Reconstruction


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


X, X_HAT, L = rand(2, 3, 9, 8), rand(2, 3, 9, 8, seed=1), rand(2, 1, 9, 8, seed=2)
BRAIN = rand(2, 1, 9, 8, seed=3) < 0.6


def test_likelihood_is_the_map_of_the_sampler_inside_the_mask():
    result = Reconstruction(X_HAT, 1, map=L)
    assert torch.equal(SCORES.build("likelihood")(X, result), L)
    assert torch.equal(SCORES.build("likelihood")(X, result, BRAIN), L * BRAIN)


def test_a_sampler_without_a_map_raises():
    with pytest.raises(ValueError, match=r"expected a sampler that makes a map of its own, .* got none"):
        SCORES.build("likelihood")(X, Reconstruction(X_HAT, 1))


def test_a_map_of_another_shape_raises():
    with pytest.raises(
        ValueError, match=r"expected restoration.map of shape \(2, 1, 9, 8\), got \(2, 3, 9, 8\)"
    ):
        SCORES.build("likelihood")(X, Reconstruction(X_HAT, 1, map=X))


def test_the_published_map_is_the_residual_times_the_likelihood():
    product = SCORES.build("product", scores=[{"name": "l1"}, {"name": "likelihood"}])
    expected = (X - X_HAT).abs().mean(1, keepdim=True) * L * BRAIN
    torch.testing.assert_close(product(X, Reconstruction(X_HAT, 1, map=L), BRAIN), expected)


@settings(deadline=None, max_examples=20)
@given(percentile=st.floats(1, 100), seed=st.integers(0, 50))
def test_relative_divides_by_the_percentile_of_the_brain(percentile, seed):
    x, x_hat = rand(2, 1, 7, 6, seed=seed), rand(2, 1, 7, 6, seed=seed + 100)
    brain = rand(2, 1, 7, 6, seed=seed + 200) < 0.7
    scores = SCORES.build("relative", percentile=percentile)(x, Reconstruction(x_hat, 1), brain)
    for i in range(2):
        r = (x[i] - x_hat[i]).abs()
        high = float(np.percentile(r[brain[i]].double().numpy(), percentile))
        expected = (r / high).clamp(max=1) * brain[i]
        torch.testing.assert_close(scores[i], expected, rtol=1e-4, atol=1e-6)


def test_relative_does_not_depend_on_the_empty_half_of_an_image_but_without_a_mask():
    x, x_hat = torch.zeros(1, 1, 10, 20), torch.zeros(1, 1, 10, 20)
    x[..., :10] = rand(1, 1, 10, 10)
    half = torch.zeros_like(x, dtype=torch.bool)
    half[..., :10] = True
    score, reconstruction = SCORES.build("relative"), Reconstruction(x_hat, 1)
    alone = score(x[..., :10], Reconstruction(x_hat[..., :10], 1))
    assert torch.equal(score(x, reconstruction, half)[..., :10], alone)
    assert not torch.equal(score(x, reconstruction)[..., :10], alone)


def test_relative_is_zero_where_the_percentile_is():
    x = torch.zeros(1, 1, 10, 10)
    x[..., 0, 0] = 1.0  # one voxel in a hundred lies above the percentile
    assert not SCORES.build("relative")(x, Reconstruction(torch.zeros_like(x), 1)).any()
    empty = torch.zeros_like(x, dtype=torch.bool)
    assert not SCORES.build("relative")(x, Reconstruction(torch.zeros_like(x), 1), empty).any()


@pytest.mark.parametrize("percentile", [0, -1, 101])
def test_percentiles_out_of_range_raise(percentile):
    with pytest.raises(ValueError, match=r"percentile must be in \(0, 100\]"):
        SCORES.build("relative", percentile=percentile)
