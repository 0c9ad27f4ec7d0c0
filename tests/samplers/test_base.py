"""The levels a sampler visits."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.samplers.base import as_level, check_call, level_option, levels_down, noise_to_level
from tests.helpers.toys import GaussianDenoiser, white_noise


@given(level=st.integers(1, 2000), data=st.data())
@settings(deadline=None, max_examples=100)
def test_levels_fall_evenly_from_the_level_to_zero(level, data):
    steps = data.draw(st.integers(1, level))
    levels = levels_down(level, steps)
    assert (levels[0], levels[-1], len(levels)) == (level, 0, steps + 1)
    moves = [t - s for t, s in pairwise(levels)]
    assert min(moves) >= 1
    assert max(abs(move - level / steps) for move in moves) <= 1


def test_levels_are_those_one_would_write_down():
    assert levels_down(3) == [3, 2, 1, 0]
    assert levels_down(250, 5) == [250, 200, 150, 100, 50, 0]
    assert levels_down(250, 1) == [250, 0]
    assert levels_down(10, 3) == [10, 7, 3, 0]


@pytest.mark.parametrize("steps", [0, -1, 11])
def test_more_moves_than_levels_raise(steps):
    with pytest.raises(
        ValueError, match=rf"steps must be in 1\.\.10 to come down from level 10, got {steps}"
    ):
        levels_down(10, steps)


@pytest.mark.parametrize("level", [1.0, "5", None, True])
def test_levels_that_are_no_integers_raise(level):
    with pytest.raises(TypeError, match="expected an integer for level, got"):
        level_option("level", level)


def test_jump_reaches_the_level_of_the_schedule(generators):
    x, denoiser = torch.rand(2, 1, 4, 4), GaussianDenoiser()
    x_t = noise_to_level(x, 250, denoiser, white_noise, generators(1, 2))
    z = white_noise(x, generator=generators(1, 2))
    torch.testing.assert_close(x_t, 0.723937 * x + 0.689866 * z)


def test_a_level_is_a_long_scalar():
    level = as_level(7, torch.zeros(1))
    assert (level.shape, level.dtype, int(level)) == ((), torch.int64, 7)


def test_a_batch_of_none_is_refused():
    with pytest.raises(ValueError, match=r"expected x with items and voxels, got shape \(0, 1, 8, 8\)"):
        check_call(torch.zeros(0, 1, 8, 8), GaussianDenoiser(), 1, [])
