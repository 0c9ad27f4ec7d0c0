"""Smooth random fields: cubic B-splines over a coarse grid of random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.data.phantom.anatomy import EXTENT, ORIGIN


def draw_controls(channels: int, knots: float, generator: torch.Generator) -> Tensor:
    """Draw control values for the box of the template, uniform in [-1, 1].

    Args:
        channels: Number of fields.
        knots: Distance of the knots, in mm.
        generator: Source of all randomness.
    """
    shape = [math.ceil(edge / knots) + 3 for edge in EXTENT]
    return 2 * torch.rand((channels, *shape), generator=generator) - 1


def evaluate_spline(
    controls: Tensor, knots: float, axes: Sequence[Tensor], derivative_axis: int | None = None
) -> Tensor:
    r"""Evaluate cubic B-splines on a grid.

    .. math:: f(u) = \sum_j c_j \prod_a \beta_3(u_a / \delta - j_a)

    Args:
        controls: Control values :math:`c`, (C, *K).
        knots: Distance :math:`\delta` of the knots, in mm.
        axes: Positions along each axis, in mm.
        derivative_axis: Axis of the derivative; none for the values.

    Returns:
        Values, or values per mm for a derivative, (C, *S).
    """
    weights = [
        _evaluate_weights(u - first, n, knots, derivative_axis == a)
        for a, (u, first, n) in enumerate(zip(axes, ORIGIN, controls.shape[1:], strict=True))
    ]
    x = torch.einsum("cxyz,ix->ciyz", controls, weights[0])
    x = torch.einsum("ciyz,jy->cijz", x, weights[1])
    return torch.einsum("cijz,kz->cijk", x, weights[2])


def draw_field(knots: float, axes: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Draw one smooth field in [-1, 1], (I, J, K), of mean 0 and a standard deviation of about 0.2."""
    return evaluate_spline(draw_controls(1, knots, generator), knots, axes)[0]


def _evaluate_weights(u: Tensor, controls: int, knots: float, slope: bool) -> Tensor:
    offset = (u / knots + 1)[:, None] - torch.arange(controls)[None]
    distance = offset.abs()
    if slope:
        near, far = 1.5 * distance**2 - 2 * distance, -0.5 * (2 - distance).clamp(min=0) ** 2
        return offset.sign() * torch.where(distance < 1, near, far) / knots
    return torch.where(
        distance < 1, 2 / 3 - distance**2 + distance**3 / 2, (2 - distance).clamp(min=0) ** 3 / 6
    )
