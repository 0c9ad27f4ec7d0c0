"""The generator of SQUID: cells are encoded, filled in and decoded beside a teacher that is not filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.inpaint import SHORTCUT, FeatureInpainter
from diffad.detectors.spatial_memory import MemoryMatrix, join_cells, mix_masked, split_cells

CELL_STAGES = 2
"""Stages of a decoder that are told of the encoder, and work on cells; those after them work on images."""


class TripleConvolution(nn.Module):
    """A convolution, and two more beside its answer.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        stride: Stride of the first one.
    """

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        norm = nn.BatchNorm2d
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), norm(after), nn.ReLU())
        middle = (nn.Conv2d(after, after, 3, padding=1), norm(after), nn.ReLU())
        self.branch = nn.Sequential(*middle, nn.Conv2d(after, after, 3, padding=1), norm(after))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, after, I / stride, J / stride) of ``x`` (B, before, I, J)."""
        x = self.first(x)
        return F.relu(x + self.branch(x))


class CellDecoder(nn.Module):
    """The way back from the features of cells to an image in [0, 1], stage by stage.

    Args:
        out_channels: Channels C of an image.
        channels: Channels before each halving, and after the last.
    """

    def __init__(self, out_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        stages = [(deep, shallow) for shallow, deep in pairwise(channels)][::-1]
        widths = [(a + b if i < CELL_STAGES else a, b) for i, (a, b) in enumerate(stages)]
        self.stages = nn.ModuleList(TripleConvolution(a, b) for a, b in widths)
        self.end = nn.Conv2d(channels[0], out_channels, 1)

    def double_grid(self, x: Tensor, skip: Tensor, i: int) -> Tensor:
        """Run stage ``i`` on ``x`` at twice its size, told of ``skip`` where it is."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.stages[i](torch.cat([skip, x], 1) if i < CELL_STAGES else x)

    def finish(self, x: Tensor) -> Tensor:
        """Return the image (B, C, I, J) in [0, 1]."""
        return torch.sigmoid(self.end(x))


@dataclass(frozen=True)
class CellTwins:
    """What the generator makes of a batch.

    Args:
        image: Twins, (B, C, I, J), in [0, 1].
        lesson: Those of the teacher.
        distance: How far the stages of both are apart, (B,).
        vectors: What the queues may remember, (B, N, width).
    """

    image: Tensor
    lesson: Tensor
    distance: Tensor
    vectors: Tensor


class InpaintingGenerator(nn.Module):
    """Rebuilds an image from features that are filled in, cell by cell, from healthy ones.

    Args:
        in_channels: Channels C of an image.
        size: Side of an image, in pixels.
        channels: Channels of the first layer, and after each halving; three halvings or more.
        grid: Cells along a side.
        slots: Vectors that a memory holds.
        keep: How many of them an answer is made of.
    """

    def __init__(
        self, in_channels: int, size: int, channels: Sequence[int], grid: int, slots: int, keep: int
    ) -> None:
        super().__init__()
        self.grid, side = grid, size // grid // 2 ** (len(channels) - 1)
        self.start = TripleConvolution(in_channels, channels[0])
        self.down = nn.ModuleList(TripleConvolution(a, b, 2) for a, b in pairwise(channels))
        self.inpainter = FeatureInpainter(channels[-1], side, grid, slots, keep)
        self.student, self.teacher = (CellDecoder(in_channels, channels) for _ in range(2))
        sides = zip(channels[-2 : -2 - CELL_STAGES : -1], (side, 2 * side), strict=True)
        self.memories = nn.ModuleList(MemoryMatrix(slots, n, s, keep) for n, s in sides)

    def forward(self, x: Tensor, generators: list[torch.Generator] | None = None) -> CellTwins:
        """Rebuild images ``x`` (B, C, I, J) in [0, 1]; with generators some places stay as they are."""
        features, skips = self.start(split_cells(x, self.grid)), []
        for stage in self.down:
            skips.append(features)
            features = stage(features)
        answer, vectors = self.inpainter(features, generators)
        image, lesson, distance = self._decode(answer, features.detach(), skips[::-1], generators)
        return CellTwins(image, lesson, distance, vectors)

    def _decode(
        self, x: Tensor, t: Tensor, skips: list[Tensor], generators: list[torch.Generator] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        errors = []
        for i, skip in enumerate(skips):
            if i == CELL_STAGES:
                x, t = join_cells(x, self.grid), join_cells(t, self.grid)
            x, t = self.student.double_grid(x, skip, i), self.teacher.double_grid(t, skip.detach(), i)
            if i < CELL_STAGES:
                x = mix_masked(self.memories[i](x), x, generators, SHORTCUT)
            error = (x - t).float().square().flatten(1).mean(1)
            errors.append(error.reshape(-1, self.grid**2).mean(1) if i < CELL_STAGES else error)
        return self.student.finish(x), self.teacher.finish(t), torch.stack(errors).sum(0)
