"""What networks of features are built of: convolutions with their normalisation, and blocks of these."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = {"lite0": 1e-3, "mobilenet_v2": 1e-5}


class Unit(nn.Module):
    """A convolution without bias and its batch normalisation.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Width of the convolution.
        stride: Its stride.
        groups: Its groups.
        eps: Added to the variance of the normalisation.
        same: Pad as TensorFlow does: where the padding is odd, more at the end.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        eps: float = 1e-5,
        same: bool = False,
    ) -> None:
        super().__init__()
        padding = 0 if same else kernel // 2
        self.kernel, self.stride, self.same = kernel, stride, same
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        if self.same:
            totals = [max((-(-n // self.stride) - 1) * self.stride + self.kernel - n, 0) for n in x.shape[2:]]
            x = F.pad(x, [part for n in reversed(totals) for part in (n // 2, n - n // 2)])
        y: Tensor = self.norm(self.conv(x))
        return y


class Inverted(nn.Module):
    """Widens, filters each channel, and narrows again; with a shortcut where the shapes agree.

    Args:
        name: The network it belongs to.
        inputs: Channels in.
        outputs: Channels out.
        kernel: Width of the filters.
        stride: Their stride.
        expansion: How much wider it is inside.
    """

    def __init__(
        self, name: str, inputs: int, outputs: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide, eps, same = inputs * expansion, EPSILON[name], name == "lite0"
        units = [] if expansion == 1 else [Unit(inputs, wide, 1, eps=eps)]
        units.append(Unit(wide, wide, kernel, stride, wide, eps, same))
        self.units = nn.ModuleList([*units, Unit(wide, outputs, 1, eps=eps)])
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        y = x
        for unit in self.units[:-1]:
            y = F.relu6(unit(y))
        y = self.units[-1](y)
        return x + y if self.shortcut else y


class Basic(nn.Module):
    """Two convolutions beside a shortcut.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Stride of the first.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.units = nn.ModuleList([Unit(inputs, outputs, 3, stride), Unit(outputs, outputs, 3)])
        if stride > 1 or inputs != outputs:
            self.units.append(Unit(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        y = self.units[1](F.relu(self.units[0](x)))
        return F.relu(y + (self.units[2](x) if len(self.units) > 2 else x))


class Wide(nn.Module):
    """Narrows by half, filters and widens again, beside a shortcut.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Stride of the filters.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        units = [Unit(inputs, half, 1), Unit(half, half, 3, stride), Unit(half, outputs, 1)]
        if stride > 1 or inputs != outputs:
            units.append(Unit(inputs, outputs, 1, stride))
        self.units = nn.ModuleList(units)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        y = self.units[2](F.relu(self.units[1](F.relu(self.units[0](x)))))
        return F.relu(y + (self.units[3](x) if len(self.units) > 3 else x))
