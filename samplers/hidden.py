"""What of a brain is hidden in training: a cloud of squares, or a cloud of cells of a volume."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

REFERENCE_SIDE = 128
"""Longest side of the slices that the sizes of squares are those of."""
SQUARES = ((8, (5, 9)), (16, (3, 9)))
"""Sides of the large squares, in pixels, and how many of each there are."""
FACTORS = (4, 4, 2, 8)
"""Sides of the cells of a volume, each as likely as it is often here."""
POINTS = 100_000
"""Points of the cloud of a volume."""


def draw_hidden(brain: Tensor, generator: torch.Generator) -> Tensor:
    """Draw what of one brain is hidden, (1, *S), bool; always some of it.

    Args:
        brain: Its mask, (1, *S); nothing is hidden where it is empty.
        generator: Where all randomness comes from.

    Reference:
        IterMask2 (Liang et al., 2024) for slices, IterMask3D (Liang et al., 2025) for volumes.
    """
    voxels = (brain[0] > 0).cpu()
    places = voxels.nonzero()
    if not len(places):
        return torch.zeros_like(brain, dtype=torch.bool)
    centre = places[_draw_integer(0, len(places) - 1, generator)]
    cloud = _draw_squares if voxels.ndim == 2 else _draw_cells
    hidden_mask = cloud(centre.double(), tuple(voxels.shape), generator)
    hidden_mask[tuple(centre)] = True
    return (hidden_mask & voxels)[None].to(brain.device)


def _draw_squares(centre: Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Mark squares of three sizes around a pixel: many small ones, widely or closely, and few large ones."""
    scale = max(shape) / REFERENCE_SIDE
    is_wide = _draw_integer(1, 3, generator) <= 2
    axes, area = _draw_axes(2, generator)
    axes = axes * (10 if is_wide else 2.5) * scale
    low, high = (100, 200) if is_wide else (5, 20)
    small = (4, int(area * _draw_integer(low, high, generator)))
    counts = [small, *((side, _draw_integer(*bounds, generator)) for side, bounds in SQUARES)]
    hidden_mask = torch.zeros(*shape, dtype=torch.bool)
    for side, count in counts:
        points = centre + _draw_normal(count, 2, generator) @ axes
        hidden_mask |= _grow(_mark(points, shape), max(1, round(side * scale)))
    return hidden_mask


def _draw_cells(centre: Tensor, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Mark the cells that a cloud of points hits: an ellipsoid with a solid core."""
    factor = FACTORS[_draw_integer(0, len(FACTORS) - 1, generator)]
    axes, _ = _draw_axes(3, generator)
    points = centre / factor + _draw_normal(POINTS, 3, generator) @ axes
    cells = _mark(points, [-(-length // factor) for length in shape])
    for axis in range(3):
        cells = cells.repeat_interleave(factor, dim=axis)
    return cells[tuple(slice(0, length) for length in shape)].clone()


def _draw_axes(dims: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """Draw the axes of a normal cloud, (D, D), with variances from .3 to 10, and their volume."""
    deviations = (0.3 + 9.7 * _draw_uniform(dims, generator)).sqrt()
    turn, _ = torch.linalg.qr(_draw_normal(dims, dims, generator))
    return deviations[:, None] * turn, float(deviations.prod())


def _mark(points: Tensor, shape: Sequence[int]) -> Tensor:
    """Mark the voxels of points (n, D) that lie inside, (*S), bool."""
    index = points.floor().long()
    inside = ((index >= 0) & (index < torch.tensor(shape))).all(1)
    marks = torch.zeros(*shape, dtype=torch.bool)
    marks[tuple(index[inside].T)] = True
    return marks


def _grow(marks: Tensor, side: int) -> Tensor:
    """Make a square of each marked pixel (H, W)."""
    squares = F.max_pool2d(marks[None, None].float(), side, stride=1, padding=side // 2)[0, 0] > 0
    return squares[: marks.shape[0], : marks.shape[1]]


def _draw_integer(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, high + 1, (), generator=generator, device=generator.device))


def _draw_uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device).double().cpu()


def _draw_normal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, device=generator.device).double().cpu()
