"""Networks of features in plain torch, cut off behind the last stage that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """What there is to know of a network before it is built.

    Args:
        channels: Channels of each stage; stage 0 is the stem.
        strides: Pixels of the image between two cells of each stage.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]


ARCHITECTURES = {
    "lite0": Architecture((32, 16, 24, 40, 80, 112, 192, 320), (2, 2, 4, 8, 16, 16, 32, 32)),
    "mobilenet_v2": Architecture((32, 16, 24, 32, 64, 96, 160, 320), (2, 2, 4, 8, 16, 16, 32, 32)),
    "resnet18": Architecture((64, 64, 128, 256, 512), (4, 4, 8, 16, 32)),
}
"""EfficientNet-Lite0 as timm has it, MobileNetV2 and ResNet18 as torchvision has them."""
KERNELS = {"lite0": (0, 3, 3, 5, 3, 5, 5, 3), "mobilenet_v2": (0, *[3] * 7)}
REPEATS = {"lite0": (0, 1, 2, 2, 3, 3, 4, 1), "mobilenet_v2": (0, 1, 2, 3, 4, 3, 3, 1)}
EXPANSION = 6
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


class FeatureNetwork(nn.Module):
    """The stages of a network, up to ``last``.

    Args:
        name: One of ``ARCHITECTURES``.
        last: The last stage.
    """

    def __init__(self, name: str, last: int) -> None:
        super().__init__()
        self.name = name
        stages = make_resnet_stages(last) if name == "resnet18" else make_inverted_stages(name, last)
        self.stages = nn.ModuleList(stages)
        for unit in self.list_units():
            nn.init.kaiming_normal_(unit.conv.weight, nonlinearity="relu")

    def list_units(self) -> Iterator[Unit]:
        """Go through its convolutions, in the order that published weights have."""
        return (module for module in self.modules() if isinstance(module, Unit))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the answer of each stage to ``x`` (B, 3, H, W), finest first."""
        answers = []
        for k, stage in enumerate(self.stages):
            x = stage(x)
            if k == 0:
                x = F.max_pool2d(F.relu(x), 3, 2, 1) if self.name == "resnet18" else F.relu6(x)
            answers.append(x)
        return answers


def make_inverted_stages(name: str, last: int) -> Sequence[nn.Module]:
    """Build the stages of EfficientNet-Lite0 or MobileNetV2, up to ``last``."""
    plan, same = ARCHITECTURES[name], name == "lite0"
    stages: list[nn.Module] = [Unit(3, plan.channels[0], 3, 2, eps=EPSILON[name], same=same)]
    for k in range(1, last + 1):
        inputs, outputs = plan.channels[k - 1 : k + 1]
        expansion = 1 if k == 1 else EXPANSION
        strides = [plan.strides[k] // plan.strides[k - 1], *[1] * (REPEATS[name][k] - 1)]
        sizes = [inputs, *[outputs] * (REPEATS[name][k] - 1)]
        blocks = [
            Inverted(name, size, outputs, KERNELS[name][k], stride, expansion)
            for size, stride in zip(sizes, strides, strict=True)
        ]
        stages.append(nn.Sequential(*blocks))
    return stages


def make_resnet_stages(last: int) -> Sequence[nn.Module]:
    """Build the stages of ResNet18 up to ``last``; the stem is pooled."""
    channels = ARCHITECTURES["resnet18"].channels
    stages: list[nn.Module] = [Unit(3, channels[0], 7, 2)]
    for k in range(1, last + 1):
        inputs, outputs = channels[k - 1 : k + 1]
        stages.append(nn.Sequential(Basic(inputs, outputs, 1 + (k > 1)), Basic(outputs, outputs, 1)))
    return stages
