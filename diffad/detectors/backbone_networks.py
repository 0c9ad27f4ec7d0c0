"""Networks of features in plain torch, cut off behind the last stage that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.backbone_units import EPSILON, Basic, Inverted, Unit, Wide


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
    "wide_resnet50": Architecture((64, 256, 512, 1024, 2048), (4, 4, 8, 16, 32)),
}
"""EfficientNet-Lite0 as timm has it, MobileNetV2, ResNet18 and WideResNet50-2 as torchvision has them."""
KERNELS = {"lite0": (0, 3, 3, 5, 3, 5, 5, 3), "mobilenet_v2": (0, *[3] * 7)}
REPEATS = {"lite0": (0, 1, 2, 2, 3, 3, 4, 1), "mobilenet_v2": (0, 1, 2, 3, 4, 3, 3, 1)}
EXPANSION = 6
RESNETS = {"resnet18": (2, 2, 2, 2), "wide_resnet50": (3, 4, 6, 3)}
"""Blocks of each stage behind the stem."""


class FeatureNetwork(nn.Module):
    """The stages of a network, up to ``last``.

    Args:
        name: One of ``ARCHITECTURES``.
        last: The last stage.
    """

    def __init__(self, name: str, last: int) -> None:
        super().__init__()
        self.name = name
        stages = make_resnet_stages(name, last) if name in RESNETS else make_inverted_stages(name, last)
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
                x = F.max_pool2d(F.relu(x), 3, 2, 1) if self.name in RESNETS else F.relu6(x)
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


def make_resnet_stages(name: str, last: int) -> Sequence[nn.Module]:
    """Build the stages of ResNet18 or WideResNet50-2 up to ``last``; the stem is pooled."""
    channels, block = ARCHITECTURES[name].channels, Basic if name == "resnet18" else Wide
    stages: list[nn.Module] = [Unit(3, channels[0], 7, 2)]
    for k in range(1, last + 1):
        inputs, outputs = channels[k - 1 : k + 1]
        first = block(inputs, outputs, 1 + (k > 1))
        rest = [block(outputs, outputs, 1) for _ in range(RESNETS[name][k - 1] - 1)]
        stages.append(nn.Sequential(first, *rest))
    return stages
