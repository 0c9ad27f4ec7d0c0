"""Where the pixels of a scan lie in a label map: turned, stretched, mirrored and bent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.spline import draw_controls, evaluate_spline

LEVELS = ((55.0, 7.0), (28.0, 3.0))
"""Distance of the knots and largest displacement of a control point, in mm; too small to fold."""

TURN, SCALE, SHEAR = 10.0, 0.1, 0.02
"""Largest turn in degrees, change of size along an axis (log) and shear."""


def draw_points(
    axes: Sequence[Tensor], mirror_axis: int | None, strength: float, generator: torch.Generator
) -> Tensor:
    r"""Return where the points of a grid lie in the label map, (D, *S), in mm from the middle of the brain.

    .. math:: v(u) = A (u + \sum_l d_l(u))

    Args:
        axes: Positions of the grid along each of D axes, in mm from its middle.
        mirror_axis: Axis from left to right, which half of the draws turn round; none for none.
        strength: Factor of all changes in [0, 1]; 0 leaves only the mirror.
        generator: Source of all randomness.
    """
    n = len(axes)
    matrix = strength * _draw_matrix(n, generator)
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    edges, firsts = [float(a[-1] - a[0]) for a in axes], [float(a[0]) for a in axes]
    for knots, limit in LEVELS:
        controls = limit * strength * draw_controls(n, edges, knots, generator)
        positions = positions + evaluate_spline(controls, knots, axes, firsts)
    mirror = torch.ones(n)
    if mirror_axis is not None and float(torch.rand((), generator=generator)) < 0.5:
        mirror[mirror_axis] = -1
    transform = mirror[:, None] * torch.linalg.matrix_exp(matrix)
    return torch.einsum("ab,b...->a...", transform, positions)


def _draw_matrix(n: int, generator: torch.Generator) -> Tensor:
    """Draw the logarithm of a linear map of n axes: turns, sizes and shears."""
    steps = 2 * torch.rand((3, n, n), generator=generator) - 1
    turn = torch.triu(steps[0], 1) * math.radians(TURN)
    return turn - turn.T + torch.diag(steps[1, 0]) * SCALE + torch.triu(steps[2], 1) * SHEAR


def read_nearest(values: Tensor, points: Tensor, spacing: Sequence[float]) -> Tensor:
    """Read images at scattered points, 0 beyond their border.

    Args:
        values: Images, (N, *S).
        points: Positions, (D, *T), in mm from the middle.
        spacing: Pixel size of the images, in mm.

    Returns:
        Values of the nearest pixels, (N, *T).
    """
    return gather_pixels(values, *find_nearest(values.shape[1:], points, spacing))


def find_nearest(shape: Sequence[int], points: Tensor, spacing: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Find the nearest pixels of scattered points in images of a shape.

    Returns:
        Their number in the flat image, (*T), and whether the point lies inside the image, (*T).
    """
    flat = torch.zeros(points.shape[1:], dtype=torch.long)
    is_inside = torch.ones(points.shape[1:], dtype=torch.bool)
    for position, size, step in zip(points, shape, spacing, strict=True):
        index = (position / step + (size - 1) / 2).round().long()
        is_inside &= (index >= 0) & (index < size)
        flat = flat * size + index.clamp(0, size - 1)
    return flat, is_inside


def gather_pixels(values: Tensor, flat: Tensor, is_inside: Tensor) -> Tensor:
    """Read images (N, *S) at what ``find_nearest`` found, (N, *T); 0 outside."""
    return values.flatten(1)[:, flat.flatten()].reshape(-1, *flat.shape) * is_inside


def read_linear(values: Tensor, points: Tensor, spacing: Sequence[float]) -> Tensor:
    """Interpolate one image (*S) at ``points`` (D, *T), as ``read_nearest`` has them; its border goes on."""
    sides = [n * s for n, s in zip(values.shape, spacing, strict=True)]
    fractions = [2 * p / side for p, side in zip(points, sides, strict=True)]
    grid = torch.stack(fractions[::-1], -1)[None]
    image = values[None, None].to(grid)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)[0, 0]
