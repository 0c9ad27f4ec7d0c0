"""Histograms of oriented gradients, drawn as an image: what a network may be asked for beside the scan."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.models.padding import crop_back, pad_to_multiple

ORIENTATIONS = 9


def draw_hog(x: Tensor, cell: int) -> Tensor:
    """Draw the gradients of each cell as a star of lines, along the edges, (B, C, H, W).

    Args:
        x: Images, (B, C, H, W); each channel is drawn by itself.
        cell: Side of a cell, in pixels; a picture whose sides are no multiple is continued by its border.

    Returns:
        Pictures in [0, 1]: the highest value of each is 1, or 0 where nothing changes.

    Reference:
        Histograms of Oriented Gradients for Human Detection (Dalal and Triggs, 2005), without its
        normalisation of blocks.
    """
    padded, crop = pad_to_multiple(x, cell)
    planes = padded.flatten(0, 1)[:, None].float()
    lines = draw_lines(cell).to(planes)[:, None]
    picture = F.conv_transpose2d(count_orientations(planes, cell), lines, stride=cell)
    picture = crop_back(picture.reshape(padded.shape), crop)
    return picture / picture.amax((2, 3), keepdim=True).clamp(min=1e-6)


def count_orientations(x: Tensor, cell: int) -> Tensor:
    """Return the mean gradient of each cell by its orientation, in 9 bins of 20 degrees, (B, 9, H/c, W/c).

    Args:
        x: Images, (B, 1, H, W), whose sides are multiples of ``cell``.
        cell: Side of a cell, in pixels.
    """
    rows, columns = torch.zeros_like(x), torch.zeros_like(x)
    rows[:, :, 1:-1] = x[:, :, 2:] - x[:, :, :-2]
    columns[..., 1:-1] = x[..., 2:] - x[..., :-2]
    angle = torch.atan2(rows, columns).remainder(math.pi) / math.pi * ORIENTATIONS
    bins = angle.long().clamp(max=ORIENTATIONS - 1)
    parts = torch.zeros_like(x).repeat(1, ORIENTATIONS, 1, 1)
    return F.avg_pool2d(parts.scatter(1, bins, torch.hypot(rows, columns)), cell)


def draw_lines(cell: int) -> Tensor:
    """Return a line through the middle of a cell for each orientation, across its gradient, (9, c, c)."""
    lines, radius = torch.zeros(ORIENTATIONS, cell, cell), cell // 2 - 1
    steps = torch.linspace(-radius, radius, 4 * cell)
    for k in range(ORIENTATIONS):
        angle = math.pi * (k + 0.5) / ORIENTATIONS
        row, column = (cell // 2 + steps * v for v in (math.cos(angle), -math.sin(angle)))
        lines[k, row.round().long(), column.round().long()] = 1
    return lines
