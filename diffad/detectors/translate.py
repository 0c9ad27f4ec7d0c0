"""The networks of CycleGAN: an image in another class, and which patches of one look real."""

from __future__ import annotations

from torch import Tensor, nn


class TranslatingBlock(nn.Module):
    """Two convolutions beside the image itself.

    Args:
        channels: Channels that come in, and go out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, I, J) of ``x`` (B, channels, I, J)."""
        return x + self.layers(x)


class TranslatingGenerator(nn.Module):
    """Makes an image of one class of an image of the other, both in [-1, 1].

    Args:
        channels: Channels C of an image.
        width: Channels of the first layer; two halvings double them.
        blocks: Blocks at the coarsest grid.
    """

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect")]
        for n in (width, 2 * width):
            layers += [nn.InstanceNorm2d(n), nn.ReLU(), nn.Conv2d(n, 2 * n, 3, 2, 1)]
        layers += [
            nn.InstanceNorm2d(4 * width),
            nn.ReLU(),
            *(TranslatingBlock(4 * width) for _ in range(blocks)),
        ]
        for n in (4 * width, 2 * width):
            layers += [nn.ConvTranspose2d(n, n // 2, 3, 2, 1, 1), nn.InstanceNorm2d(n // 2), nn.ReLU()]
        last = nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect")
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Return images like ``x`` (B, C, I, J), whose sides are multiples of 4."""
        return self.layers(x)


class PatchDiscriminator(nn.Module):
    """Answers for every patch of 70 x 70 pixels how real it looks.

    Args:
        channels: Channels C of an image.
        width: Channels of the first layer.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for n, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            layers += [nn.Conv2d(n, 2 * n, 4, stride, 1), nn.InstanceNorm2d(2 * n), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, 1, I / 8 - 2, J / 8 - 2) of ``x`` (B, C, I, J), of 32 pixels or more."""
        return self.layers(x)
