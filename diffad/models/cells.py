"""Which square cells of an image are hidden from a network, and which are visible."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.models.padding import crop_back


def count_cells(shape: Sequence[int], cell: int) -> list[int]:
    """Return how many cells of ``cell`` pixels cover each axis of ``shape``; the last may reach beyond it."""
    return [math.ceil(n / cell) for n in shape]


def draw_cells(
    shape: Sequence[int], cell: int, ratio: float, generators: Sequence[torch.Generator]
) -> Tensor:
    r"""Choose the visible cells of each item at random, as many for every item.

    .. math:: n_\mathrm{visible} = \mathrm{round}(n (1 - r))

    Args:
        shape: Spatial shape S of the images.
        cell: Side of a cell, in pixels.
        ratio: Share r of cells that is hidden.
        generators: One per item.

    Returns:
        Visible cells, (B, 1, *N), bool.

    Raises:
        ValueError: If that leaves no cell visible, or none hidden.
    """
    grid = count_cells(shape, cell)
    count = math.prod(grid)
    visible_count = round(count * (1 - ratio))
    if not 0 < visible_count < count:
        requirement = "expected cells and a ratio that leave some cells visible and some hidden"
        raise ValueError(
            f"{requirement}, got {visible_count} of {count} visible in {tuple(shape)} by cells of {cell}"
        )
    ranks = torch.stack([torch.randperm(count, generator=g) for g in generators])
    return torch.unflatten(ranks < visible_count, 1, (1, *grid))


def find_hidden_pixels(cells: Tensor, cell: int, shape: Sequence[int]) -> Tensor:
    """Return which pixels of images of spatial ``shape`` lie in hidden cells, (B, 1, *S), bool."""
    sides = [n * cell for n in cells.shape[2:]]
    pixels = F.interpolate(cells.float(), size=sides, mode="nearest") == 0
    return crop_back(pixels, tuple(slice(n) for n in shape))
