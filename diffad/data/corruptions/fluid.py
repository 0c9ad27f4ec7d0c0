"""Lesions that a fluid carries into shape."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import torch

from diffad.data.corruptions.blob import (
    Window,
    draw_brain_voxel,
    draw_level,
    draw_radius,
    draw_smooth,
    soften,
)
from diffad.data.corruptions.paint import Paint, paint_tissue
from diffad.data.corruptions.shape import Bools, Floats, Random

TRAVEL = (1.0, 9.0)
"""Shortest and longest way that the fluid carries a shape, in voxels; at most 1.5 times its radius."""

LONGEST_STEP = 2.0
"""Longest way, in voxels, of one step back along the flow."""


def curl(potential: Floats) -> Floats:
    r"""Return the flow of a stream function, which neither swells nor shrinks anywhere.

    .. math:: V = (-\partial_y \psi, \partial_x \psi), \quad V = \nabla \times \psi \text{ in 3-D}

    By central differences, which commute, so that their divergence is zero to rounding.

    Args:
        potential: :math:`\psi`, (1, *S) for two axes and (3, *S) for three.

    Reference:
        UNA (Liu et al., 2025).
    """
    if len(potential) == 1:
        along_x, along_y = np.gradient(potential[0])
        return np.stack([-along_y, along_x])
    slope = [np.gradient(component) for component in potential]
    return np.stack([slope[(i + 2) % 3][(i + 1) % 3] - slope[(i + 1) % 3][(i + 2) % 3] for i in range(3)])


def advect(shape: Floats, flow: Floats, travel: float) -> Floats:
    r"""Carry a shape along a flow.

    The identity map is traced back by second-order steps of at most two voxels,
    :math:`x \mapsto x - h V(x - \tfrac h 2 V(x))`, and the shape is read there once, linearly: its values
    stay within their range, and its area up to interpolation. No travel returns the shape itself.

    Args:
        shape: :math:`P`, (*S).
        flow: :math:`V`, (n, *S), in voxels per unit time.
        travel: Time.
    """
    if not travel:
        return shape
    fastest = float(np.sqrt(np.square(flow).sum(0)).max())
    steps = max(math.ceil(travel * fastest / LONGEST_STEP), 1)
    sizes = torch.tensor(shape.shape[::-1], dtype=torch.float64)
    # grid_sample counts axes from the last, in half-widths of the grid
    scale = 2 / (sizes - 1).clamp(min=1)
    field = (torch.from_numpy(flow[::-1].copy()) * scale.view(-1, *(1,) * shape.ndim))[None]
    ends = [torch.linspace(-1, 1, side, dtype=torch.float64) for side in shape.shape]
    points = torch.stack(torch.meshgrid(*ends, indexing="ij")[::-1], -1)[None]
    time = travel / steps
    for _ in range(steps):
        middle = points - time / 2 * _read(field, points).movedim(1, -1)
        points = points - time * _read(field, middle).movedim(1, -1)
    return np.asarray(_read(torch.from_numpy(shape.copy())[None, None], points)[0, 0].numpy())


def _read(field: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import grid_sample

    return grid_sample(field, points, padding_mode="border", align_corners=True)


def draw_flow(size: tuple[int, ...], spacing: float, rng: Random) -> Floats:
    """Draw a flow (n, *S) of mean speed 1, whose eddies are about a spacing wide, in voxels."""
    count = len(list(combinations(size, 2)))
    flow = curl(np.stack([draw_smooth(size, spacing, rng) for _ in range(count)]))
    return flow / max(float(np.sqrt(np.square(flow).sum(0)).mean()), 1e-12)


def paint_fluid(image: Floats, brain: Bools, rng: Random) -> tuple[Floats, dict[str, Any]]:
    """Paint a ragged blob, from two voxels of radius to a quarter of the brain, that a fluid has deformed.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        rng: Source of all randomness.

    Returns:
        The image after the change, and the drawn numbers: ``radius``, ``travel`` (voxels), ``amounts``.

    Reference:
        UNA (Liu et al., 2025).
    """
    radius, centre = draw_radius(brain, rng), draw_brain_voxel(brain, rng)
    travel = float(rng.uniform(TRAVEL[0], min(TRAVEL[1], 1.5 * radius)))
    window = Window.around(centre, 1.5 * radius + travel + 2, brain.shape)
    start = soften(draw_level(window, radius, rng), rng.uniform(0.1, 0.8) + 0.5 / radius)
    flow = draw_flow(start.shape, max(radius * rng.uniform(1, 2.5), 5), rng)
    weight = advect(start / max(float(start.max()), 1e-12), flow, travel) * brain[window.box]
    look, values = Paint.draw(len(image), rng), image.copy()
    values[(slice(None), *window.box)] = paint_tissue(image[(slice(None), *window.box)], weight, look, rng)
    return values, {"radius": radius, "travel": travel, "amounts": tuple(look.amounts.tolist())}
