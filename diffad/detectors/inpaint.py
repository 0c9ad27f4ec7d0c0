"""The block that fills the features of a cell in from what is remembered of its neighbours."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffad.detectors.spatial_memory import MemoryQueue, mix_masked

HEADS = 8
SHORTCUT = 0.95
"""Chance that a place takes the filled-in feature in training."""


class FeatureInpainter(nn.Module):
    """Asks the memories of a cell's eight neighbours what belongs there; those beyond the rim say nothing.

    Args:
        channels: Channels of the features.
        side: Side of the features of a cell.
        grid: Cells along a side of an image.
        slots: Vectors that each cell remembers.
        keep: How many of them an answer is made of.
    """

    code: Tensor

    def __init__(self, channels: int, side: int, grid: int, slots: int, keep: int) -> None:
        super().__init__()
        self.grid, narrow = grid, channels // 4
        width, bits = narrow * side * side, int(math.log2(grid * grid) + 1)
        first = nn.Conv2d(channels, narrow, 1, bias=False)
        self.narrow = nn.Sequential(first, nn.BatchNorm2d(narrow), nn.ReLU())
        self.queues = nn.ModuleList(MemoryQueue(slots, width, keep) for _ in range(grid * grid))
        self.attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.feed = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width))
        last = nn.Conv2d(narrow + bits, channels, 1)
        self.widen = nn.Sequential(last, nn.BatchNorm2d(channels), nn.ReLU())
        numbers = torch.arange(grid * grid)[:, None] >> torch.arange(bits - 1, -1, -1)
        self.register_buffer("code", (numbers % 2).float(), persistent=False)

    def forward(self, x: Tensor, generators: list[torch.Generator] | None) -> tuple[Tensor, Tensor]:
        """Fill in the features ``x`` (B N, C, I, J) of N cells an image.

        Args:
            x: Features, the cells of an image one after the other.
            generators: One for each image, for places that stay as they are; none fills in all.

        Returns:
            The features, and the vectors (B, N, width) that ``remember`` takes.
        """
        narrow = self.narrow(x)
        vectors = rearrange(narrow, "(b n) c i j -> b n (c i j)", n=len(self.queues))
        read = torch.stack([queue(vectors[:, i]) for i, queue in enumerate(self.queues)], 1)
        answer = self._attend(vectors, read)
        cells = rearrange(answer, "b n (c i j) -> (b n) c i j", i=x.shape[2], j=x.shape[3])
        code = self.code.repeat(len(vectors), 1)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return mix_masked(self.widen(torch.cat([cells, code], 1)), x, generators, SHORTCUT), vectors

    def remember(self, vectors: Tensor) -> None:
        """Push vectors (B, N, width) of healthy scans into the queues of their cells."""
        for i, queue in enumerate(self.queues):
            cast(MemoryQueue, queue).push(vectors[:, i])

    def list_neighbours(self, read: Tensor) -> Tensor:
        """Return what the neighbours of each cell remember, (B N, 8, width), from ``read`` (B, N, width)."""
        image = rearrange(read, "b (h w) c -> b c h w", h=self.grid)
        windows = F.unfold(image, 3, padding=1)
        around = rearrange(windows, "b (c k) n -> (b n) k c", k=9)
        return torch.cat([around[:, :4], around[:, 5:]], 1)

    def _attend(self, vectors: Tensor, read: Tensor) -> Tensor:
        query, around = rearrange(vectors, "b n c -> (b n) 1 c"), self.list_neighbours(read)
        answer, _ = self.attention(query, around, around, need_weights=False)
        answer = F.relu(self.norms[0](answer[:, 0]) + read.flatten(0, 1))
        answer = F.relu(self.norms[1](self.feed(answer)) + answer)
        return answer.reshape(read.shape)
