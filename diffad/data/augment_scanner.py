"""Random changes that scanners make: uneven coils, noise, and another contrast of the same order."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

ANCHOR = 0.82
"""Intensity that a tone curve keeps, as normalisation by a percentile would bring it back."""
WAVES, NODES = 3, 4
"""Sine waves of a tone curve; nodes of a bias field along each axis."""


def bend_tones(x: Tensor, amplitude: float, generators: list[torch.Generator]) -> Tensor:
    r"""Bend the intensities of each item of ``x`` (B, C, *S), in [0, 1], by a random ascending curve.

    .. math:: y = x + \sum_{k=1}^{3} c_k \sin(\pi k x / m) / k, \quad \sum_k |c_k| \le A, \quad 0 \le x \le m

    0 and :math:`m = .82` stay where they are, and so does all above; it ascends for :math:`A < m / \pi`.

    Args:
        x: Images.
        amplitude: Bound :math:`A` of the change.
        generators: One per item.
    """
    draws = _draw(generators, 2 * WAVES, x) * 2 - 1
    weights = draws[:, :WAVES] / draws[:, :WAVES].abs().sum(1, keepdim=True).clamp(min=1e-6)
    weights = weights * amplitude * draws[:, WAVES : WAVES + 1].abs()
    angle = math.pi * x.clamp(max=ANCHOR) / ANCHOR
    waves = (_per_item(weights[:, k - 1], x) * (k * angle).sin() / k for k in range(1, WAVES + 1))
    return (x + torch.stack(list(waves)).sum(0)).clamp(0, 1)


def lay_bias(x: Tensor, strength: float, generators: list[torch.Generator]) -> Tensor:
    """Multiply each item of ``x`` (B, C, *S) by the exponential of a smooth field of at most ``strength``."""
    nodes = NODES ** (x.ndim - 2)
    draws = _draw(generators, nodes + 1, x)
    field = (draws[:, :-1] * 2 - 1).reshape(len(x), 1, *(NODES,) * (x.ndim - 2))
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    smooth = F.interpolate(field, size=x.shape[2:], mode=mode, align_corners=True)
    return (x * (smooth * strength * _per_item(draws[:, -1], x)).exp()).clamp(0, 1)


def lay_noise(x: Tensor, sd: float, generators: list[torch.Generator]) -> Tensor:
    r"""Add Rician noise to each item of ``x`` (B, C, *S), of an SD drawn from [0, ``sd``].

    .. math:: y = \sqrt{(x + s n_1)^2 + (s n_2)^2}
    """
    level = _per_item(_draw(generators, 1, x)[:, 0] * sd, x)
    n = torch.stack([torch.randn(2, *x.shape[1:], generator=g) for g in generators], 1).to(x)
    return ((x + level * n[0]).square() + (level * n[1]).square()).sqrt().clamp(0, 1)


def _draw(generators: list[torch.Generator], count: int, like: Tensor) -> Tensor:
    return torch.stack([torch.rand(count, generator=g) for g in generators]).to(like)


def _per_item(values: Tensor, like: Tensor) -> Tensor:
    return rearrange(values, f"b -> b {'1 ' * (like.ndim - 1)}")
