"""How wide a move is, learned beside the noise by the bound on the likelihood of a scan."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffad.denoise import clean_estimate
from diffad.schedule import Schedule, StraightSchedule
from diffad.types import Example

HALF_BIN = 1 / 255
"""Half the distance of two of 256 shades in [-1, 1]."""
LEAST = 1e-12
"""Smallest probability that is told from none."""


def variational_bound(
    output: Tensor, example: Example, t: Tensor, schedule: Schedule, prediction: str
) -> Tensor:
    r"""Return the bits that a move costs, by the width that a network gives it; its mean learns nothing.

    .. math:: L_t = \mathrm{KL}\big( q(x_{t-1} \mid x_t, x_0) \,\|\, N(\mu_\theta, \sigma_\theta^2) \big)
        / \ln 2, \quad \log \sigma_\theta^2 = v \log \beta_t + (1 - v) \log \tilde\beta_t, \quad
        v = \tfrac{1}{2} (o + 1)

    for outputs :math:`o`; at level 1 it is the negative logarithm of what the 256 shades of :math:`x_0` get.

    Args:
        output: What the network predicts and then :math:`o`, (B, 2 C, *S).
        example: What it saw and should find.
        t: Levels, (B,).
        schedule: Amplitudes by level.
        prediction: What the network predicts.

    Returns:
        Bits of each voxel, (B, C, *S).

    Raises:
        ValueError: If paths are straight, where moves have no width.

    Reference:
        Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), section 3.1.
    """
    if isinstance(schedule, StraightSchedule):
        raise ValueError("expected a network without learned variance on straight paths, got one with")
    x, x_t = example.x.float(), example.x_t.float()
    answer, o = output.chunk(2, dim=1)
    x_hat = clean_estimate(answer.detach(), x_t, t, schedule, prediction)
    small, large = compute_log_variances(t, schedule, x)
    log_variance = small + (o + 1) / 2 * (large - small)
    means = [average_posterior(x0, x_t, t, schedule) for x0 in (x, x_hat)]
    divergence = compute_divergence(means[0], small, means[1], log_variance)
    is_last = t.reshape(-1, *[1] * (x.ndim - 1)) == 1
    return torch.where(is_last, weigh_shades(x, means[1], log_variance), divergence) / math.log(2)


def compute_log_variances(t: Tensor, schedule: Schedule, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithms of the posterior variance and of beta, (B, 1, ...); level 1 takes that of 2."""
    abar_t, abar_s = (schedule.alpha_bar(level) for level in (t, t - 1))
    beta = 1 - abar_t / abar_s
    upper = t.clamp(min=2)
    abar_u, abar_v = schedule.alpha_bar(upper), schedule.alpha_bar(upper - 1)
    small = (1 - abar_v) / (1 - abar_u) * (1 - abar_u / abar_v)
    return _shape(small.log(), like), _shape(beta.log(), like)


def average_posterior(x: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """Return the mean of x_{t-1} given ``x_t`` and the clean ``x``, both (B, C, *S)."""
    abar_t, abar_s = (schedule.alpha_bar(level) for level in (t, t - 1))
    beta = 1 - abar_t / abar_s
    clean = _shape(abar_s.sqrt() * beta / (1 - abar_t), x)
    noisy = _shape((1 - beta).sqrt() * (1 - abar_s) / (1 - abar_t), x)
    return clean * x + noisy * x_t


def compute_divergence(mean: Tensor, log_variance: Tensor, other: Tensor, log_other: Tensor) -> Tensor:
    """Return the divergence of normal distributions from others, in nats."""
    ratio = log_variance - log_other
    return 0.5 * (ratio.exp() - 1 - ratio + (mean - other) ** 2 * (-log_other).exp())


def weigh_shades(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return minus the log-probability of the shades of ``x`` in [-1, 1], the outermost without an end."""
    scale = (-0.5 * log_variance).exp()
    upper, lower = (torch.special.ndtr(scale * (x - mean + side)) for side in (HALF_BIN, -HALF_BIN))
    top, bottom = torch.ones_like(upper), torch.zeros_like(lower)
    inside = torch.where(x > 0.999, top, upper) - torch.where(x < -0.999, bottom, lower)
    return -inside.clamp(min=LEAST).log()


def _shape(values: Tensor, like: Tensor) -> Tensor:
    values = values.cpu() if like.device.type == "mps" else values.to(like.device)
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype).to(like.device)
