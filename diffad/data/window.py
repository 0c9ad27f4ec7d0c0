"""The window around the brain: the part of the grid that a network of slices takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.config import SpaceConfig

Corner = tuple[int, int]
Window = tuple[int, int]


def place_window(brain: Tensor, window: Sequence[int]) -> Corner:
    """Place a window around the middle of a brain, inside the grid.

    Args:
        brain: Mask of one slice, (1, H, W).
        window: Rows and columns of the window.

    Returns:
        Its first row and column.
    """
    spans = [_find_span(brain.any(axis), n) for axis, n in ((-1, brain.shape[-2]), (-2, brain.shape[-1]))]
    sizes = zip(spans, window, brain.shape[-2:], strict=True)
    row, column = (max(0, min((first + last + 1 - size) // 2, n - size)) for (first, last), size, n in sizes)
    return row, column


def _find_span(line: Tensor, length: int) -> tuple[int, int]:
    positions = line.flatten().nonzero().flatten()
    return (int(positions[0]), int(positions[-1])) if len(positions) else (0, length - 1)


def window_holds(brain: Tensor, window: Sequence[int], corner: Corner) -> bool:
    """Tell whether the window at a corner holds the whole brain (1, H, W)."""
    return int(crop_windows(brain[None], window, [corner]).sum()) == int(brain.sum())


def crop_windows(x: Tensor, window: Sequence[int], corners: Sequence[Corner]) -> Tensor:
    """Cut the window of each item out of ``x`` (N, C, H, W), as (N, C, *window)."""
    rows, columns = window
    pairs = zip(x, corners, strict=True)
    return torch.stack([item[..., r : r + rows, c : c + columns] for item, (r, c) in pairs])


def paste_windows(y: Tensor, shape: Sequence[int], corners: Sequence[Corner]) -> Tensor:
    """Paste windows ``y`` (N, C, h, w) into empty grids; inverts ``crop_windows`` where the rest is 0."""
    rows, columns = y.shape[-2:]
    grid = y.new_zeros(*y.shape[:2], *shape)
    for item, window, (r, c) in zip(grid, y, corners, strict=True):
        item[..., r : r + rows, c : c + columns] = window
    return grid


def group_by_window(places: Tensor, space: SpaceConfig) -> list[tuple[Window | None, list[int]]]:
    """Part slices by the window of their plane.

    Args:
        places: Orientation and position of each slice, (N, 2), see ``diffad.data.place``.
        space: Space of the model.

    Returns:
        Each window, or none for all of the grid, and the numbers of the slices that it is for.
    """
    windows = [space.window_of(int(orientation)) for orientation in places[:, 0].tolist()]
    return [
        (window, [i for i, other in enumerate(windows) if other == window])
        for window in dict.fromkeys(windows)
    ]


def crop_to_brain(x: Tensor, brain: Tensor, window: Sequence[int] | None) -> Tensor:
    """Cut the window around each brain out of ``x`` (N, C, H, W), even where it cuts into the brain.

    Training needs one shape; a brain at the edge of the grid loses its rim there.
    """
    return x if window is None else crop_windows(x, window, [place_window(item, window) for item in brain])
