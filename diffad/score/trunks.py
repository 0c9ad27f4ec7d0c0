"""The convolutional stacks whose features LPIPS compares, numbered as torchvision numbers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SMALLEST = 32
"""Side below which a trunk runs out of pixels."""


class Fire(nn.Module):
    """Squeezes the channels, then expands them by 1 x 1 and 3 x 3 convolutions side by side.

    Args:
        width: Channels of the input.
        squeeze_width: Channels in between.
        expand_width: Channels of each of the two answers.
    """

    def __init__(self, width: int, squeeze_width: int, expand_width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, squeeze_width, 1)
        self.expand1x1 = nn.Conv2d(squeeze_width, expand_width, 1)
        self.expand3x3 = nn.Conv2d(squeeze_width, expand_width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 2 expand_width, H, W) for ``x`` (B, width, H, W)."""
        thin = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(thin), self.expand3x3(thin)], dim=1).relu()


def _build_alex() -> list[nn.Module]:
    return [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]


def _build_vgg() -> list[nn.Module]:
    layers: list[nn.Module] = []
    width = 3
    for out, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [nn.MaxPool2d(2, 2)] if layers else []
        for _ in range(count):
            layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU()]
            width = out
    return layers


def _build_squeeze() -> list[nn.Module]:
    def make_pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return [
        *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), make_pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), make_pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), make_pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]


@dataclass(frozen=True)
class TrunkKind:
    """One architecture.

    Args:
        taps: Layers whose answers are compared.
        widths: Their channels.
        file: What the file of torchvision's weights begins with.
    """

    taps: tuple[int, ...]
    widths: tuple[int, ...]
    file: str


KINDS = {
    "vgg": TrunkKind((3, 8, 15, 22, 29), (64, 128, 256, 512, 512), "vgg16"),
    "alex": TrunkKind((1, 4, 7, 9, 11), (64, 192, 384, 256, 256), "alexnet"),
    "squeeze": TrunkKind((1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512), "squeezenet1_1"),
}
_BUILDERS = {"vgg": _build_vgg, "alex": _build_alex, "squeeze": _build_squeeze}


class Trunk(nn.Module):
    """Answers the features at every tap.

    Args:
        name: "vgg" (VGG16), "alex" (AlexNet) or "squeeze" (SqueezeNet 1.1).

    Reference:
        Very Deep Convolutional Networks (Simonyan and Zisserman, 2015), table 1, D; One weird trick for
        parallelizing convolutional neural networks (Krizhevsky, 2014); SqueezeNet (Iandola et al., 2016).
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.taps: Sequence[int] = KINDS[name].taps
        self.features = nn.Sequential(*_BUILDERS[name]())

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions, in the order of evaluation."""
        return [layer for layer in self.features.modules() if isinstance(layer, nn.Conv2d)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features (B, C_l, H_l, W_l) of ``x`` (B, 3, H, W), sides of 32 or more."""
        features = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            features += [x] if number in self.taps else []
        return features
