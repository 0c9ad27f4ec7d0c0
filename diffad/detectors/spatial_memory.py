"""Memories of places: cells of a grid, each with feature vectors of its own that it answers with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


def split_cells(x: Tensor, grid: int) -> Tensor:
    """Cut (B, C, I, J) into (B grid², C, I / grid, J / grid), the cells of an image one after the other."""
    return rearrange(x, "b c (h i) (w j) -> (b h w) c i j", h=grid, w=grid)


def join_cells(x: Tensor, grid: int) -> Tensor:
    """Undo ``split_cells``."""
    return rearrange(x, "(b h w) c i j -> b c (h i) (w j)", h=grid, w=grid)


def keep_nearest(logits: Tensor, keep: int) -> Tensor:
    """Return softmax weights (B, N) of which the largest ``keep`` are left, with a sum of 1.

    Gradients are those of all weights (straight through). The published code drops the k-th largest, too: its
    k of 5 keeps 4.
    """
    weights = F.softmax(logits.float(), 1)
    indices = weights.topk(min(keep, weights.shape[1]), 1).indices
    sparse = torch.zeros_like(weights).scatter(1, indices, weights.gather(1, indices))
    return weights + (F.normalize(sparse, p=1, dim=1) - weights).detach()


class MemoryQueue(nn.Module):
    """Remembers the last feature vectors of healthy scans, first in, first out; nothing of it is learned.

    Args:
        slots: Vectors that are remembered.
        width: Numbers of a vector.
        keep: How many of them an answer is made of.
    """

    vectors: Tensor
    pointer: Tensor

    def __init__(self, slots: int, width: int, keep: int) -> None:
        super().__init__()
        self.keep = keep
        self.register_buffer("vectors", (torch.rand(slots, width) * 2 - 1) / width**0.5)
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """Return what is remembered of vectors like ``x`` (B, width)."""
        vectors = self.vectors.clone()  # what comes in later must not change what is differentiated
        return keep_nearest(x @ vectors.T, self.keep).to(vectors) @ vectors

    @torch.no_grad()
    def push(self, x: Tensor) -> None:
        """Remember vectors (B, width) in the place of the oldest."""
        slots = len(self.vectors)
        x = x.detach().to(self.vectors)
        places = (self.pointer + torch.arange(len(x), device=x.device)) % slots
        self.vectors[places[-slots:]] = x[-slots:]
        self.pointer.copy_((self.pointer + len(x)) % slots)


class MemoryMatrix(nn.Module):
    """Replaces each cell of a feature map by a mixture of learned ones; each place has its own.

    Args:
        slots: Vectors of a place.
        channels: Channels of the map.
        side: Side of a cell.
        keep: How many vectors an answer is made of.
        grid: Cells along a side.
    """

    def __init__(self, slots: int, channels: int, side: int, keep: int, grid: int = 2) -> None:
        super().__init__()
        self.keep, self.grid = keep, grid
        width = channels * side * side
        self.vectors = nn.Parameter((torch.rand(grid * grid, slots, width) * 2 - 1) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map that is remembered, shaped like ``x`` (B, C, I, J)."""
        cells = split_cells(x, self.grid)
        flat = rearrange(cells, "(b n) c i j -> n b (c i j)", n=self.grid**2)
        pairs = zip(flat, self.vectors, strict=True)
        read = torch.stack([keep_nearest(v @ m.T, self.keep).to(m) @ m for v, m in pairs], 1)
        return join_cells(read.reshape(cells.shape), self.grid)


def mix_masked(new: Tensor, old: Tensor, generators: list[torch.Generator] | None, share: float) -> Tensor:
    """Take each place of a map from ``new`` with a chance of ``share``, else from ``old``.

    Args:
        new: Maps, (B k, C, I, J).
        old: Others like them.
        generators: One for each of the B items; none takes all of ``new``.
        share: The chance.
    """
    if generators is None:
        return new
    shape = (len(new) // len(generators), 1, *new.shape[2:])
    mask = torch.cat([torch.rand(shape, generator=g) < share for g in generators])
    return torch.where(mask.to(new.device), new, old)
