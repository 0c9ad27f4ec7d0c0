"""The autoencoder of one code a scan: four halvings, a few numbers, and the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTION = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def make_encoder(channels: Sequence[int], dims: int) -> nn.Sequential:
    """Build convolutions of width 4 and stride 2, each with normalisation and ReLU, between ``channels``."""
    layers = [
        (CONVOLUTION[dims](a, b, 4, 2, 1, bias=False), NORM[dims](b), nn.ReLU())
        for a, b in pairwise(channels)
    ]
    return nn.Sequential(*(layer for stage in layers for layer in stage))


def make_decoder(channels: Sequence[int], dims: int) -> nn.Sequential:
    """Build the way back between ``channels``; the last convolution has neither normalisation nor ReLU."""
    layers: list[nn.Module] = []
    for a, b in pairwise(channels):
        layers += [TRANSPOSED_CONVOLUTION[dims](a, b, 4, 2, 1, bias=False), NORM[dims](b), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


class DenseAutoencoder(nn.Module):
    """Squeezes an image into a code of a few numbers, which is its only way through.

    Args:
        in_channels: Channels C of an image.
        out_channels: Channels of what comes out.
        size: Side of an image, in voxels, a multiple of the stride.
        latent: Numbers of a code.
        codes: Codes that the encoder answers, one after the other: 2 where it says mean and log-variance.
        channels: Channels after each halving.
        hidden: Width of the layers beside the code.
        dims: Spatial axes, 2 or 3.
        spatial: Keep a code of ``latent`` channels at each place of the coarsest grid.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        latent: int,
        codes: int,
        channels: Sequence[int],
        hidden: int,
        dims: int,
        spatial: bool = False,
    ) -> None:
        super().__init__()
        coarse, width = size // 2 ** len(channels), channels[-1]
        self.shape = (width, *[coarse] * dims)
        self.encoder = make_encoder([in_channels, *channels], dims)
        self.decoder = make_decoder([*channels[::-1], out_channels], dims)
        if spatial:
            self.squeeze: nn.Module = CONVOLUTION[dims](width, codes * latent, 1)
            self.expand: nn.Module = CONVOLUTION[dims](latent, width, 1)
            return
        numbers = math.prod(self.shape)
        self.squeeze = nn.Sequential(
            nn.Flatten(), *_make_hidden(numbers, hidden), nn.Linear(hidden, codes * latent)
        )
        self.expand = nn.Sequential(*_make_hidden(latent, hidden), nn.Linear(hidden, numbers))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes (B, Z) of ``x`` (B, C, *S), or (B, Z, *L) with places."""
        return self.squeeze(self.encoder(x))

    def decode(self, code: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes (B, latent) or (B, latent, *L)."""
        coarse = self.expand(code)
        if coarse.ndim == 2:
            coarse = coarse.reshape(len(coarse), *self.shape)
        return self.decoder(coarse)


def _make_hidden(inputs: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()
