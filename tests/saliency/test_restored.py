"""The first twin: made by any sampler, scored by any score."""

import pytest
import torch

from diffad.capabilities import attach_networks
from diffad.registry import SALIENCIES
from diffad.types import Reconstruction
from tests.helpers.toys import ConstantDenoiser, white_noise

X = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
TWIN = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))


def begin(**options):
    denoiser = ConstantDenoiser(2 * TWIN - 1)
    generators = [torch.Generator().manual_seed(s) for s in range(2)]
    return SALIENCIES.build("restored", **options).begin(denoiser, white_noise, generators)


def test_map_is_the_score_of_the_twin_for_every_channel():
    result = begin(sampler={"name": "oneshot", "levels": [100]})(X)
    torch.testing.assert_close(result, (X - TWIN).abs().mean(1, keepdim=True).expand(X.shape))


def test_ready_parts_are_taken_and_see_what_they_expect():
    def sampler(x, denoiser, noise, *, generator, mask=None, on_step=None):
        torch.testing.assert_close(x, 2 * X - 1)
        return Reconstruction(2 * TWIN - 1, 1, std=torch.full_like(x, 0.2), reference=x)

    def score(x, restoration, mask=None):
        torch.testing.assert_close(restoration.std, torch.full_like(x, 0.1))
        torch.testing.assert_close(restoration.reference, X)
        return (restoration.image - restoration.reference).abs().amax(1, keepdim=True)

    result = begin(sampler=sampler, score=score)(X)
    torch.testing.assert_close(result[:, :1], (X - TWIN).abs().amax(1, keepdim=True))


def test_networks_reach_its_parts():
    class Part:
        def attach_networks(self, networks):
            self.networks = networks

    sampler, score, networks = Part(), Part(), {"classifier": object()}
    attach_networks(SALIENCIES.build("restored", sampler=sampler, score=score), networks)
    assert sampler.networks is networks
    assert score.networks is networks


def test_call_without_a_denoiser_raises():
    with pytest.raises(ValueError, match=r"expected begin\(denoiser, noise, generator\)"):
        SALIENCIES.build("restored")(X)


@pytest.mark.parametrize("part", ["sampler", "score"])
def test_part_without_a_name_raises(part):
    with pytest.raises(ValueError, match=f"expected a {part} with a name, got"):
        SALIENCIES.build("restored", **{part: {"level": 3}})
