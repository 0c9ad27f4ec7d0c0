"""Steps, adapters and chains against the schedulers of diffusers."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from diffad.denoise import PREDICTIONS, NetworkDenoiser
from diffad.samplers.chain import Chain
from diffad.schedule import Schedule
from diffad.step import DDIM, DDPM, ddim_step
from tests.helpers.toys import GaussianDenoiser, KnownNetwork, white_noise

SHAPE = (2, 1, 8, 8)
OF_DIFFUSION = [name for name in PREDICTIONS if name not in ("flow", "cold")]
"""What their schedulers of diffusion know; see ``tests/test_flow.py`` and ``tests/training/test_cold.py``."""


def randn(seed, dtype=torch.float64):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def oracle(cls, **options):
    """A diffusers scheduler with its table in float64, so that only the formulas can differ."""
    scheduler = cls(1000, beta_schedule="linear", **options)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    if hasattr(scheduler, "final_alpha_cumprod"):
        scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    return scheduler, Schedule.from_diffusers(scheduler)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("clip", [False, True])
def test_ddim_step_equals_diffusers(eta, spacing, clip):
    scheduler, schedule = oracle(DDIMScheduler, clip_sample=clip, timestep_spacing=spacing)
    scheduler.set_timesteps(50)
    x_t = randn(0)
    for k, index in enumerate(scheduler.timesteps.tolist()):
        eps, z = randn(2 * k + 1), randn(2 * k + 2)
        theirs = scheduler.step(eps, index, x_t, eta=eta, variance_noise=z, use_clipped_model_output=True)
        t, s = index + 1, max(index + 1 - 20, 0)
        ours = ddim_step(x_t, theirs.pred_original_sample, t, s, schedule, z, eta)
        torch.testing.assert_close(ours, theirs.prev_sample, rtol=1e-9, atol=1e-9)
        x_t = theirs.prev_sample


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize("steps", [1000, 40])
def test_ddpm_step_equals_diffusers(variance, steps):
    scheduler, schedule = oracle(DDPMScheduler, variance_type=variance)
    scheduler.set_timesteps(steps)
    x_t, step, stride = randn(0), DDPM(variance), 1000 // steps
    theirs_rng, ours_rng = (torch.Generator().manual_seed(7) for _ in range(2))
    for index in scheduler.timesteps.tolist():
        eps = 0.1 * x_t
        theirs = scheduler.step(eps, index, x_t, generator=theirs_rng)
        z = torch.randn(SHAPE, generator=ours_rng, dtype=x_t.dtype) if index else torch.zeros(SHAPE)
        t, s = index + 1, max(index + 1 - stride, 0)
        ours = step(x_t, theirs.pred_original_sample, t, s, schedule, z)
        torch.testing.assert_close(ours, theirs.prev_sample, rtol=1e-9, atol=1e-9)
        x_t = theirs.prev_sample


@pytest.mark.parametrize("prediction", OF_DIFFUSION)
@pytest.mark.parametrize("clip", [False, True])
def test_clean_estimate_equals_diffusers(prediction, clip):
    scheduler, schedule = oracle(DDPMScheduler, prediction_type=prediction, clip_sample=clip)
    x_t, output = randn(0), randn(1)
    denoiser = NetworkDenoiser(lambda x, labels: output, schedule, prediction, clip)
    for index in (0, 249, 999):
        theirs = scheduler.step(output, index, x_t).pred_original_sample
        torch.testing.assert_close(denoiser(x_t, torch.tensor(index + 1)), theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("prediction", OF_DIFFUSION)
def test_chain_equals_a_diffusers_loop_started_from_a_partial_level(prediction, generators):
    scheduler, schedule = oracle(
        DDIMScheduler, clip_sample=False, timestep_spacing="trailing", prediction_type=prediction
    )
    scheduler.set_timesteps(100)
    network, x = KnownNetwork(GaussianDenoiser(schedule=schedule), prediction), 0.3 * randn(0)
    x_t = scheduler.add_noise(x, white_noise(x, generator=generators(1, 2)), torch.tensor([249, 249]))
    for index in [i for i in scheduler.timesteps.tolist() if i < 250]:
        x_t = scheduler.step(network(x_t, torch.tensor([index, index])), index, x_t).prev_sample
    denoiser = NetworkDenoiser(network, schedule, prediction, clip=False)
    ours = Chain(250, 25, step="ddim")(x, denoiser, white_noise, generator=generators(1, 2))
    torch.testing.assert_close(ours.image, x_t, rtol=1e-8, atol=1e-8)


def test_full_ancestral_chain_equals_a_diffusers_loop(generators):
    scheduler, schedule = oracle(DDPMScheduler, clip_sample=True)
    network, x, rng = (
        KnownNetwork(GaussianDenoiser(schedule=schedule)),
        randn(0).clamp(-1, 1),
        generators(1, 2),
    )
    x_t = scheduler.add_noise(x, white_noise(x, generator=rng), torch.tensor([249, 249]))
    for index in range(249, -1, -1):
        x_t = scheduler.step(
            network(x_t, torch.tensor([index, index])), index, x_t, generator=rng
        ).prev_sample
    ours = Chain(250)(x, NetworkDenoiser(network, schedule), white_noise, generator=generators(1, 2))
    torch.testing.assert_close(ours.image, x_t, rtol=1e-8, atol=1e-8)


def test_zero_terminal_snr_schedules_are_followed():
    scheduler, schedule = oracle(
        DDIMScheduler,
        rescale_betas_zero_snr=True,
        clip_sample=False,
        timestep_spacing="trailing",
        prediction_type="v_prediction",
    )
    scheduler.set_timesteps(10)
    x_t, v = randn(0), randn(1)
    theirs = scheduler.step(v, 999, x_t)
    x_hat = NetworkDenoiser(lambda x, labels: v, schedule, "v_prediction", clip=False)(
        x_t, torch.tensor(1000)
    )
    torch.testing.assert_close(x_hat, theirs.pred_original_sample)
    torch.testing.assert_close(
        DDIM()(x_t, x_hat, 1000, 900, schedule, x_t), theirs.prev_sample, rtol=1e-6, atol=1e-6
    )
