"""The networks of WGAN-GP: residual stages that halve or double the grid, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.dense import CONVOLUTION, NORM

POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}


def make_stage_norm(channels: int, dims: int, by_item: bool) -> nn.Module:
    """Normalise over the whole of each item, with a scale for each channel, or over the batch."""
    return nn.GroupNorm(1, channels) if by_item else NORM[dims](channels)


class HalvingStage(nn.Module):
    """Two convolutions that halve the grid, beside a short cut that averages first.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        dims: Spatial axes, 2 or 3.
        by_item: Normalise each item by itself, see ``make_stage_norm``.
    """

    def __init__(self, before: int, after: int, dims: int, by_item: bool) -> None:
        super().__init__()
        conv, self.pool = CONVOLUTION[dims], POOL[dims]
        self.shortcut = conv(before, after, 1)
        self.inner = nn.Sequential(
            make_stage_norm(before, dims, by_item),
            nn.ReLU(),
            conv(before, before, 3, padding=1, bias=False),
            make_stage_norm(before, dims, by_item),
            nn.ReLU(),
            conv(before, after, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, after, *S / 2) of ``x`` (B, before, *S)."""
        return self.shortcut(self.pool(x, 2)) + self.pool(self.inner(x), 2)


class DoublingStage(nn.Module):
    """Two convolutions that double the grid, beside a short cut; normalised over the batch.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, before: int, after: int, dims: int) -> None:
        super().__init__()
        conv, norm = CONVOLUTION[dims], NORM[dims]
        self.shortcut = nn.Sequential(nn.Upsample(scale_factor=2), conv(before, after, 1))
        self.inner = nn.Sequential(
            norm(before),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            conv(before, after, 3, padding=1, bias=False),
            norm(after),
            nn.ReLU(),
            conv(after, after, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, after, *2 S) of ``x`` (B, before, *S)."""
        return self.shortcut(x) + self.inner(x)


class ResidualEncoder(nn.Module):
    """Answers a few numbers an image: the code of an encoder, or the one logit of a critic.

    Args:
        in_channels: Channels C of an image.
        size: Side of an image, in voxels, a multiple of 2 for each stage.
        width: Numbers that it answers.
        channels: Channels of the first convolution, and after each halving.
        dims: Spatial axes, 2 or 3.
        by_item: Normalise each item by itself, as a critic must, whose slope is that of one item.
    """

    def __init__(
        self, in_channels: int, size: int, width: int, channels: Sequence[int], dims: int, by_item: bool
    ) -> None:
        super().__init__()
        first = CONVOLUTION[dims](in_channels, channels[0], 3, padding=1)
        stages = [HalvingStage(a, b, dims, by_item) for a, b in pairwise(channels)]
        self.trunk = nn.Sequential(first, *stages)
        self.head = nn.Linear(channels[-1] * (size // 2 ** len(stages)) ** dims, width)

    def look(self, x: Tensor) -> Tensor:
        """Return the features (B, F, *L) of ``x`` (B, C, *S), before the last layer."""
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers (B, width) of ``x`` (B, C, *S)."""
        return self.head(self.look(x).flatten(1))


class ResidualGenerator(nn.Module):
    """Makes an image of a code, in [-1, 1].

    Args:
        out_channels: Channels C of an image.
        size: Side of an image, in voxels, a multiple of 2 for each stage.
        width: Numbers of a code.
        channels: Channels at the coarsest grid, and after each doubling.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, out_channels: int, size: int, width: int, channels: Sequence[int], dims: int) -> None:
        super().__init__()
        stages = [DoublingStage(a, b, dims) for a, b in pairwise(channels)]
        self.shape = (channels[0], *[size // 2 ** len(stages)] * dims)
        self.start = nn.Linear(width, math.prod(self.shape))
        self.stages = nn.Sequential(*stages)
        last = CONVOLUTION[dims](channels[-1], out_channels, 3, padding=1)
        self.end = nn.Sequential(NORM[dims](channels[-1]), nn.ReLU(), last, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes ``z`` (B, width)."""
        return self.end(self.stages(self.start(z).reshape(-1, *self.shape)))
