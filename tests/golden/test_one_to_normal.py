"""What is public of One-to-Normal (Li et al., 2024), held by ``one_to_normal_lite``."""

import pytest
import torch
from torch import nn

from diffad.config import load
from diffad.denoise import NetworkDenoiser
from diffad.registry import SAMPLERS, SCORES
from diffad.schedule import Schedule
from diffad.types import Reconstruction
from tests.contracts.test_score import Stages
from tests.helpers.toys import GaussianDenoiser, KnownNetwork, white_noise


class Pool(nn.Module):
    """Healthy images as they are."""

    def __init__(self, images):
        super().__init__()
        self.images = images

    def lay_over(self, x):
        return self.images


def draw(count, seed):
    return torch.rand(count, 1, 16, 12, generator=torch.Generator().manual_seed(seed))


def score_map(x, x_hat, images, **options):
    score = SCORES.build("triplet", network=Stages(), references=Pool(images), **options)
    return score(x, Reconstruction(x_hat, nfe=1))


def test_query_that_is_its_own_twin_has_no_distance_to_it_and_the_same_to_others():
    x, pool = draw(2, 0), draw(4, 1)
    assert not score_map(x, x.clone(), pool, others=0.0).any()  # fact 1: ratio 0, S_P = 0 everywhere
    others = score_map(x, draw(2, 2), pool, twin=0.0)
    assert torch.equal(score_map(x, x.clone(), pool), others)  # and S_N is what it was
    assert others.max() > 0


def test_without_the_twin_it_is_the_nearest_of_the_few_shots():
    x, pool = draw(1, 0), draw(3, 1)
    alone = [score_map(x, x, pool[n : n + 1], twin=0.0, reach=0, taps=["mid_block"]) for n in range(3)]
    together = score_map(x, x, pool, twin=0.0, reach=0, taps=["mid_block"])
    # fact 2: by position, where no layer is enlarged between positions
    for n in range(3):
        assert (together <= alone[n] + 1e-6).all()
    assert not score_map(x, x, torch.cat([pool, x]), twin=0.0).any()


@pytest.mark.parametrize("reach", [0, 1])
def test_more_references_can_only_lower_the_distance(reach):
    x, pool = draw(2, 0), draw(6, 1)
    maps = [score_map(x, x, pool[:n], twin=0.0, reach=reach) for n in (1, 3, 6)]  # fact 2
    assert (maps[1] <= maps[0]).all()
    assert (maps[2] <= maps[1]).all()
    assert maps[2].sum() < maps[0].sum()


def test_terms_add_up_with_their_weights():
    x, x_hat, pool = draw(2, 0), draw(2, 2), draw(4, 1)
    s_p, s_n = (score_map(x, x_hat, pool, twin=a, others=b) for a, b in ((1.0, 0.0), (0.0, 1.0)))
    torch.testing.assert_close(score_map(x, x_hat, pool, twin=0.5, others=2.0), 0.5 * s_p + 2 * s_n)


def test_ratio_of_a_third_of_50_steps_makes_15_of_them_from_index_299():
    config = load("one_to_normal_lite")
    network = KnownNetwork(GaussianDenoiser())
    sampler = SAMPLERS.build(**config.sampler)
    denoiser = NetworkDenoiser(network, Schedule.linear())
    result = sampler(draw(1, 0), denoiser, white_noise, generator=torch.Generator().manual_seed(0))
    labels = [int(label[0]) for label in network.labels]
    assert config.schedule.num_train_timesteps == 1000
    assert (result.nfe, len(labels)) == (15, 15)  # fact 3
    assert labels == [299 - 20 * k for k in range(15)]


def test_public_constants_are_the_defaults():
    score = SCORES.build(**load("one_to_normal_lite").score)
    assert (score.twin, score.pool) == (1.0, 30)
