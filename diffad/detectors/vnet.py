"""The V-Net: an encoder and a decoder with shortcuts, of residual blocks that grow longer with depth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from diffad.detectors.dense import CONVOLUTION, NORM, TRANSPOSED_CONVOLUTION


class _Residual(nn.Module):
    """Adds what some convolutions answer to what they are given."""

    def __init__(self, width: int, count: int, dims: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(make_unit(width, width, dims) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added, (B, C, *S)."""
        return torch.relu(x + self.layers(x))


def make_unit(inputs: int, outputs: int, dims: int) -> nn.Sequential:
    """Build a convolution of width 3 with normalisation and ReLU."""
    return nn.Sequential(CONVOLUTION[dims](inputs, outputs, 3, padding=1), NORM[dims](outputs), nn.ReLU())


class VNet(nn.Module):
    """Rebuilds an image at its own size; shortcuts join the two ways at each scale but the coarsest.

    Args:
        in_channels: Channels C of an image, and of the answer.
        channels: Width at each scale, finest first; the block at scale i has i convolutions.
        dims: Spatial axes, 2 or 3.
        narrow: Whether the last block ends in as many channels as an image has, and not in its own width.

    Reference:
        V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation (Milletari et
        al., 2016), with the widths and kernels of the published separation network.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], dims: int, narrow: bool = False) -> None:
        super().__init__()
        self.enter = make_unit(in_channels, channels[0], dims)
        self.down, self.enlarge, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for count, (a, b) in enumerate(pairwise(channels), 1):
            halve = (CONVOLUTION[dims](a, b, 2, 2), NORM[dims](b), nn.ReLU())
            self.down.append(nn.Sequential(*halve, _Residual(b, count, dims)))
        width = channels[-1]
        for count, skip in reversed(list(enumerate(channels[:-1], 1))):
            double = (TRANSPOSED_CONVOLUTION[dims](width, skip, 2, 2), NORM[dims](skip), nn.ReLU())
            self.enlarge.append(nn.Sequential(*double))
            width = 2 * skip
            self.up.append(_Residual(width, count, dims))
        last = in_channels if narrow else width
        self.leave = nn.Sequential(make_unit(width, last, dims), CONVOLUTION[dims](last, in_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C, *S) for ``x`` (B, C, *S), whose sides can be halved at each scale."""
        x = self.enter(x)
        shortcuts = []
        for down in self.down:
            shortcuts.append(x)
            x = down(x)
        for enlarge, up in zip(self.enlarge, self.up, strict=True):
            x = up(torch.cat([enlarge(x), shortcuts.pop()], 1))
        logits: Tensor = self.leave(x)
        return logits
