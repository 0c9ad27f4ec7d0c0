"""What a student is built of: residual blocks that halve a grid, double it or leave it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions beside a shortcut, each with normalisation.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        change: "down" halves the grid, "up" doubles it, "" leaves it.
    """

    def __init__(self, inputs: int, outputs: int, change: str = "") -> None:
        super().__init__()
        self.body = self.make_body(inputs, outputs, change)
        self.shortcut = make_shortcut(inputs, outputs, change)

    def make_body(self, inputs: int, outputs: int, change: str) -> nn.Sequential:
        """Build what stands beside the shortcut."""
        return nn.Sequential(
            make_change(inputs, outputs, change),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H, W), on a grid half or twice as large where it changes."""
        return F.relu(self.body(x) + self.shortcut(x))


class Narrow(Residual):
    """Three convolutions, the middle one of half the channels, beside a shortcut; as in WideResNet50-2.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        change: "down" halves the grid, "up" doubles it, "" leaves it.
    """

    def make_body(self, inputs: int, outputs: int, change: str) -> nn.Sequential:
        """Build what stands beside the shortcut."""
        half = outputs // 2
        first, last = (nn.Conv2d(a, b, 1, bias=False) for a, b in ((inputs, half), (half, outputs)))
        middle = make_change(half, half, change)
        return nn.Sequential(
            *(first, nn.BatchNorm2d(half), nn.ReLU()),
            *(middle, nn.BatchNorm2d(half), nn.ReLU()),
            *(last, nn.BatchNorm2d(outputs)),
        )


BLOCKS: dict[str, type[Residual]] = {"plain": Residual, "narrow": Narrow}
"""Kinds of blocks of a student."""


def make_change(inputs: int, outputs: int, change: str) -> nn.Module:
    """Build a convolution that halves a grid, doubles it, or leaves it."""
    if change == "up":
        return nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False)
    return nn.Conv2d(inputs, outputs, 3, 2 if change == "down" else 1, 1, bias=False)


def make_shortcut(inputs: int, outputs: int, change: str) -> nn.Module:
    """Build the way past a block: nothing where its shapes agree."""
    if not change and inputs == outputs:
        return nn.Identity()
    if change == "up":
        return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs))
    stride = 2 if change == "down" else 1
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def make_student_unit(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Build a convolution with normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
