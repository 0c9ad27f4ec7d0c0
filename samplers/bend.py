"""Where a slowly rising curve of errors bends upwards: a threshold that a scan finds for itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CEILING = 10 / 36
"""Published errors above 10 are left out of the fit; they are squares of a range of 6, ours of one of 1."""
TRUSTED, LEAST_R2 = 0.8, 0.85
"""Share of the curve on which a fit is judged, and how well it must explain it."""
WIDTH = 5
"""Slopes that are averaged where the fit does not hold."""


def find_bend(thresholds: Tensor, percents: Tensor, slope: float) -> int:
    r"""Return the number of the first threshold at which the curve is steeper than a slope; else of the last.

    .. math:: \theta_i \approx a \tan(b i), \quad \theta' = a b / \cos^2(b i)

    Normal tissue makes the curve rise slowly, and what is not normal steeply. Where the fit explains less
    than .85 of its variance, differences are taken, smoothed over five.

    Args:
        thresholds: Thresholds :math:`\theta_i` in ascending order of what is uncovered, (n,).
        percents: Percent of the brain that each uncovers, :math:`i`, (n,), ascending.
        slope: Threshold per percent.

    Reference:
        IterMask3D (Liang et al., 2025), whose code has a slope of .01 and whose text .05, in units of squares
        of a range of 6.
    """
    theta, x = thresholds.double(), percents.double()
    high = (theta > CEILING).nonzero().flatten().tolist()
    end = max(2, high[0] if high else len(theta))
    a, b = _fit_tangent(theta[:end], x[:end])
    range_of_trust = x <= TRUSTED * float(x[-1])
    slopes = a * b / (b * x).cos() ** 2
    if (
        b * float(x[-1]) >= math.pi / 2
        or _explain(theta[range_of_trust], a * (b * x[range_of_trust]).tan()) < LEAST_R2
    ):
        slopes = _smooth_slopes(theta, x)
    steep = (slopes > slope).nonzero().flatten().tolist()
    return int(steep[0]) if steep else len(theta) - 1


def _fit_tangent(theta: Tensor, x: Tensor) -> tuple[float, float]:
    """Fit a tan(b x) by least squares: for each of many b the best a is known."""
    b = torch.linspace(0, math.pi / 2 / float(x[-1]), 2002, dtype=torch.float64)[1:-1]
    tangents = (b[:, None] * x).tan()
    a = (tangents * theta).sum(1) / tangents.square().sum(1)
    best = int((a[:, None] * tangents - theta).square().sum(1).argmin())
    return float(a[best]), float(b[best])


def _explain(theta: Tensor, model: Tensor) -> float:
    """Return how much of the variance a fit explains, R2."""
    spread = float((theta - theta.mean()).square().sum())
    return 1 - float((theta - model).square().sum()) / spread if spread else 0.0


def _smooth_slopes(theta: Tensor, x: Tensor) -> Tensor:
    slopes = torch.gradient(theta, spacing=(x,))[0]
    padded_slopes = torch.nn.functional.pad(slopes[None, None], (WIDTH // 2, WIDTH // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded_slopes, WIDTH, stride=1)[0, 0]
