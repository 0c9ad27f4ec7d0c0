"""Facts of the patched and conditioned protocols that no single part owns."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from diffad.evaluation.metrics import best_dice
from diffad.samplers.oneshot import OneShot
from diffad.schedule import Schedule
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, IdentityDenoiser, Toy, white_noise

COSINE = Schedule.from_diffusers(DDPMScheduler(beta_schedule="squaredcos_cap_v2"))


@pytest.mark.parametrize(
    ("index", "signal", "noise", "abar"),
    [
        (249, 0.920333, 0.391137, 0.847012),
        (499, 0.702740, 0.711447, 0.493844),
        (749, 0.379832, 0.925056, 0.144272),
    ],
)
def test_levels_of_the_ensemble_hold_the_published_shares(index, signal, noise, abar):
    alpha, sigma = COSINE.amplitudes(index + 1, torch.zeros(1, dtype=torch.float64))
    assert float(alpha) == pytest.approx(signal, abs=2e-6)
    assert float(sigma) == pytest.approx(noise, abs=2e-6)
    assert float(COSINE.alpha_bar(index + 1)) == pytest.approx(abar, abs=2e-6)


def image(seed=0):
    return torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


def looks(denoiser, x, levels=(250, 500, 750)):
    """The estimates at each level, and their mean."""
    found = []
    generators = [torch.Generator().manual_seed(k) for k in range(len(x))]
    sampler = OneShot(levels)
    mean = sampler(x, denoiser, white_noise, generator=generators, on_step=lambda r: found.append(r.x_hat))
    return torch.stack(found), mean.image


def test_mean_of_three_equal_twins_is_one_of_them():
    twins, mean = looks(ConstantDenoiser(image(7), COSINE), image())
    torch.testing.assert_close(mean, twins[0])


def test_residual_of_the_mean_is_at_most_the_mean_of_the_residuals():
    x = image()
    twins, mean = looks(GaussianDenoiser(schedule=COSINE), x)
    apart = (x - mean).abs() - (x - twins).abs().mean(0)
    assert apart.max() <= 1e-6
    assert apart.min() < -1e-2


def test_a_network_that_undoes_the_noise_leaves_no_residual():
    class Undo(Toy):
        def estimate(self, x_t, t):
            return image().repeat(len(x_t) // 2, 1, 1, 1)

    _, mean = looks(Undo(COSINE), image())
    torch.testing.assert_close(mean, image())
    _, noisy = looks(IdentityDenoiser(COSINE), image())
    assert (noisy - image()).abs().mean() > 0.1


def test_best_dice_is_found_where_halving_intervals_misses_it():
    x = np.linspace(0, 1, 1001)
    found = best_dice(x, ((x > 0.05) & (x < 0.12)) | (x > 0.97))
    assert found.dice == pytest.approx(0.4651, abs=5e-5)
    assert found.threshold == pytest.approx(0.97, abs=2e-3)


def test_best_dice_of_a_clean_cut_is_one():
    x = np.arange(1, 101) / 100
    found = best_dice(x, x > 0.70)
    assert found.dice == 1
    assert found.threshold == pytest.approx(0.705, abs=6e-3)
