"""A U-Net whose shortcuts can be closed by degrees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLIERS = (1, 2, 4, 8, 8)
"""Channels at each scale, in units of the first."""


class GatedUNet(nn.Module):
    r"""Joins what comes from below with a mixture of the shortcut and itself.

    .. math:: s = \alpha\, \mathrm{skip} + (1 - \alpha)\, u, \qquad \mathrm{up} = f([s, \mathrm{sg}(u)])

    Args:
        in_channels: Channels of an image.
        out_channels: Channels of the answer.
        base: Width of the finest scale.
    """

    def __init__(self, in_channels: int, out_channels: int, base: int) -> None:
        super().__init__()
        widths = [base * m for m in MULTIPLIERS]
        self.enter = _make_double(in_channels, base, base)
        self.down = nn.ModuleList(_make_double(a, b, b) for a, b in pairwise(widths))
        shortcuts = widths[-2::-1]
        self.up = nn.ModuleList(
            _make_double(2 * s, s, n) for s, n in zip(shortcuts, [*shortcuts[1:], base], strict=True)
        )
        self.leave = nn.Conv2d(base, out_channels, 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the features of ``x`` (B, C, H, W) at each scale, the bottleneck last."""
        features = [self.enter(x)]
        for down in self.down:
            features.append(down(F.max_pool2d(features[-1], 2)))
        return features

    def decode(self, features: Sequence[Tensor], gates: Sequence[float]) -> Tensor:
        """Return the answer (B, C, H, W); gates are the shares of the shortcuts, the deepest first."""
        x = features[-1]
        for up, skip, gate in zip(self.up, features[-2::-1], gates, strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = up(torch.cat([gate * skip + (1 - gate) * x, x.detach()], 1))
        answer: Tensor = self.leave(x)
        return answer


def _make_double(inputs: int, middle: int, outputs: int) -> nn.Sequential:
    pairs = ((inputs, middle), (middle, outputs))
    layers = ((nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairs)
    return nn.Sequential(*(layer for unit in layers for layer in unit))
