"""The networks of DCGAN: strided convolutions from an image to a few numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from diffad.detectors.dense import CONVOLUTION, NORM, TRANSPOSED_CONVOLUTION


class StridedEncoder(nn.Module):
    """Answers a few numbers an image: a code, or the one logit of a discriminator.

    Args:
        in_channels: Channels C of an image.
        size: Side of an image, in voxels, a multiple of 2 for each halving.
        width: Numbers that it answers.
        channels: Channels after each halving.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, in_channels: int, size: int, width: int, channels: Sequence[int], dims: int) -> None:
        super().__init__()
        conv = CONVOLUTION[dims]
        layers: list[nn.Module] = [conv(in_channels, channels[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for a, b in pairwise(channels):
            layers += [conv(a, b, 4, 2, 1, bias=False), NORM[dims](b), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers)
        self.head = conv(channels[-1], width, size // 2 ** len(channels), bias=False)

    def look(self, x: Tensor) -> Tensor:
        """Return the features (B, F, *L) of ``x`` (B, C, *S), before the last layer."""
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers (B, width) of ``x`` (B, C, *S)."""
        return self.head(self.look(x)).flatten(1)


class StridedDecoder(nn.Module):
    """Makes an image of a code, in [-1, 1].

    Args:
        out_channels: Channels C of an image.
        size: Side of an image, in voxels, a multiple of 2 for each doubling.
        width: Numbers of a code.
        channels: Channels before each doubling.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, out_channels: int, size: int, width: int, channels: Sequence[int], dims: int) -> None:
        super().__init__()
        self.dims, conv, norm = dims, TRANSPOSED_CONVOLUTION[dims], NORM[dims]
        first = conv(width, channels[0], size // 2 ** len(channels), bias=False)
        layers: list[nn.Module] = [first, norm(channels[0]), nn.ReLU()]
        for a, b in pairwise(channels):
            layers += [conv(a, b, 4, 2, 1, bias=False), norm(b), nn.ReLU()]
        self.layers = nn.Sequential(*layers, conv(channels[-1], out_channels, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes ``z`` (B, width)."""
        return self.layers(z.reshape(*z.shape, *[1] * self.dims))


def draw_first_weights(network: nn.Module) -> None:
    """Draw the first weights of convolutions from N(0, 0.02), of normalisations from N(1, 0.02); no biases.

    Reference:
        Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (Radford
        et al., 2016).
    """
    norms = (nn.BatchNorm2d, nn.BatchNorm3d)
    convolutions = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    for part in network.modules():
        if isinstance(part, (*norms, *convolutions)):
            nn.init.normal_(part.weight, float(isinstance(part, norms)), 0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
