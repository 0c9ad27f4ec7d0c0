"""White noise, and its offset."""

import math

import pytest
import torch

from diffad.noise.gaussian import GaussianNoise


def test_is_what_torch_draws_from_the_generator_of_each_item(generators):
    z = GaussianNoise()(torch.zeros(2, 3, 8, 9), generator=generators(0, 1))
    expected = [torch.randn(3, 8, 9, generator=g) for g in generators(0, 1)]
    assert torch.equal(z, torch.stack(expected))


def test_offset_adds_one_number_to_each_channel_and_keeps_the_variance(generators):
    z = GaussianNoise(offset=0.5)(torch.zeros(2, 3, 8, 9), generator=generators(0, 1))
    for item, g in zip(z, generators(0, 1), strict=True):
        white, constant = torch.randn(3, 8, 9, generator=g), torch.randn(3, 1, 1, generator=g)
        torch.testing.assert_close(item, (white + 0.5 * constant) / math.sqrt(1.25))


def test_offset_of_zero_is_plain_white_noise(generators):
    like = torch.zeros(2, 1, 6, 7, 8)
    plain, zero = (noise(like, generator=generators(0, 1)) for noise in (GaussianNoise(), GaussianNoise(0)))
    assert torch.equal(plain, zero)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "much", True])
def test_names_an_offset_that_is_out_of_range(value):
    with pytest.raises(ValueError, match="expected offset of at least 0, got"):
        GaussianNoise(offset=value)
