"""White noise."""

import torch

from diffad.noise.gaussian import GaussianNoise


def test_is_what_torch_draws_from_the_generator_of_each_item(generators):
    z = GaussianNoise()(torch.zeros(2, 3, 8, 9), generator=generators(0, 1))
    expected = [torch.randn(3, 8, 9, generator=g) for g in generators(0, 1)]
    assert torch.equal(z, torch.stack(expected))
