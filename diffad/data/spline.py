"""Smooth random fields in a box of any dimension: cubic B-splines over a coarse grid of random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def draw_controls(channels: int, edges: Sequence[float], knots: float, generator: torch.Generator) -> Tensor:
    """Draw control values for a box, uniform in [-1, 1], (channels, *K).

    Args:
        channels: Number of fields.
        edges: Edges of the box.
        knots: Distance of the knots, in the unit of the edges.
        generator: Source of all randomness.
    """
    shape = [math.ceil(edge / knots) + 3 for edge in edges]
    return 2 * torch.rand((channels, *shape), generator=generator) - 1


def evaluate_spline(
    controls: Tensor,
    knots: float,
    axes: Sequence[Tensor],
    firsts: Sequence[float],
    derivative_axis: int | None = None,
) -> Tensor:
    r"""Evaluate cubic B-splines on a grid.

    .. math:: f(u) = \sum_j c_j \prod_a \beta_3(u_a / \delta - j_a)

    Args:
        controls: Control values :math:`c`, (C, *K).
        knots: Distance :math:`\delta` of the knots.
        axes: Positions along each axis.
        firsts: First corner of the box.
        derivative_axis: Axis of the derivative; none for the values.

    Returns:
        Values, or values per unit of length for a derivative, (C, *S).
    """
    for a, (u, first) in enumerate(zip(axes, firsts, strict=True)):
        weights = evaluate_weights(u - first, controls.shape[1], knots, derivative_axis == a)
        controls = torch.einsum("cx...,ix->c...i", controls, weights)
    return controls


def evaluate_at_points(controls: Tensor, knots: float, points: Tensor) -> Tensor:
    """Evaluate one cubic B-spline (1, *K) at scattered ``points`` (n, D), counted from the corner; (n,)."""
    values = controls
    for a in range(points.shape[1]):
        weights = evaluate_weights(points[:, a], controls.shape[1 + a], knots)
        values = torch.einsum("nx...,nx->n...", values.expand(len(points), *values.shape[1:]), weights)
    return values


def evaluate_weights(u: Tensor, controls: int, knots: float, slope: bool = False) -> Tensor:
    """Return the weight of each control at positions ``u`` (n,), counted from the first corner, (n, K)."""
    offset = (u / knots + 1)[:, None] - torch.arange(controls)[None]
    distance = offset.abs()
    if slope:
        near, far = 1.5 * distance**2 - 2 * distance, -0.5 * (2 - distance).clamp(min=0) ** 2
        return offset.sign() * torch.where(distance < 1, near, far) / knots
    return torch.where(
        distance < 1, 2 / 3 - distance**2 + distance**3 / 2, (2 - distance).clamp(min=0) ** 3 / 6
    )
