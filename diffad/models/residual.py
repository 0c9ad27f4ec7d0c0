"""Residual blocks that know of nothing but their input, normalised or not."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from diffad.models.blocks import double

NORMS = ("group", "batch", "none")


class Layers:
    """Makes the layers that all blocks share.

    Args:
        dims: Spatial axes, 2 or 3.
        norm: "group", "batch" or "none".
        groups: Groups of the group normalisation.
    """

    def __init__(self, dims: int, norm: str, groups: int) -> None:
        self.dims, self.norm, self.groups = dims, norm, groups

    def make_conv(self, width: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        """Return a convolution that keeps lengths, or divides them by ``stride``."""
        layer = nn.Conv2d if self.dims == 2 else nn.Conv3d
        # batch normalisation, which follows everywhere but in the end, has the bias
        bias = self.norm != "batch"
        return layer(width, out, kernel, stride, padding=kernel // 2, bias=bias)

    def make_branch_norm(self, width: int) -> nn.Module:
        """Return the normalisation of a residual branch."""
        return nn.GroupNorm(self.groups, width) if self.norm == "group" else self.make_carry_norm(width)

    def make_carry_norm(self, width: int) -> nn.Module:
        """Return the normalisation of the carry, which goes past the branches.

        Statistics of an item would take its brightness from it; those of a data set do not.
        """
        if self.norm != "batch":
            return nn.Identity()
        return nn.BatchNorm2d(width) if self.dims == 2 else nn.BatchNorm3d(width)


class Block(nn.Module):
    r"""Adds what two convolutions find, and may change width and lengths.

    .. math:: y = \mathrm{ReLU}(p(x) + W_2 \, \mathrm{ReLU}(W_1 x)), \quad \text{each } W \text{ normalised}

    Args:
        layers: Makes the layers.
        width: Channels in.
        out: Channels out.
        stride: Divisor of the lengths, met in the first convolution.
        grow: Whether the lengths are doubled, before the second convolution, which then changes the width.

    Reference:
        Deep Residual Learning for Image Recognition (He et al., 2016), figure 5 left.
    """

    def __init__(self, layers: Layers, width: int, out: int, stride: int = 1, grow: bool = False) -> None:
        super().__init__()
        inner = width if grow else out
        self.grow = grow
        self.first = nn.Sequential(
            layers.make_conv(width, inner, stride=stride), layers.make_branch_norm(inner)
        )
        self.second = nn.Sequential(layers.make_conv(inner, out), layers.make_branch_norm(out))
        same = width == out and stride == 1 and not grow
        carry = (layers.make_conv(width, out, kernel=1, stride=stride), layers.make_carry_norm(out))
        self.carry = nn.Identity() if same else nn.Sequential(*carry)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) to (B, out, *S')."""
        h = F.relu(self.first(x))
        if self.grow:
            h, x = double(h), double(x)
        return F.relu(self.carry(x) + self.second(h))
