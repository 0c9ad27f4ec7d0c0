"""The Haar wavelet as a codec: no weights, orthonormal, and undone to rounding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Haar(nn.Module):
    r"""Maps each block of 2 voxels along every axis to its sums and differences, as channels.

    .. math:: z = H x, \quad x = H^\top z, \quad
              H = \bigotimes_{axes} \tfrac{1}{\sqrt 2} \begin{pmatrix} 1 & 1 \\ 1 & -1 \end{pmatrix}

    As the map is orthonormal, white noise of the image is white noise of the code: diffusion in wavelets is
    that of the image, seen by a network at half the resolution with :math:`2^{dims}` times the channels.

    Args:
        in_channels: Channels C of the image.
        dims: Spatial axes, 2 or 3.

    Reference:
        WDM: 3D Wavelet Diffusion Models for High-Resolution Medical Image Synthesis (Friedrich et al., 2024),
        whose lowest band is divided by 3; here the noise schedule sees the image as it is.
    """

    factor = 2

    def __init__(self, in_channels: int = 1, dims: int = 2) -> None:
        super().__init__()
        self.in_channels, self.dims = in_channels, dims

    @property
    def code_channels(self) -> int:
        """Channels of a code: those of the image, times the bands."""
        return int(self.in_channels * 2**self.dims)

    @property
    def reach(self) -> float:
        """Largest magnitude of a code of an image in [-1, 1]."""
        return float(2 ** (self.dims / 2))

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return the code (B, C 2^dims, *S / 2) of images ``x`` (B, C, *S) of even sides; none draws."""
        bands = x[:, :, None]
        for axis in range(3, 3 + self.dims):
            even, odd = (bands[(slice(None),) * axis + (slice(k, None, 2),)] for k in (0, 1))
            bands = torch.cat([even + odd, even - odd], 2) * 0.5**0.5
        return bands.flatten(1, 2)

    def decode(self, z: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes ``z`` (B, C 2^dims, *S / 2)."""
        bands = z.reshape(len(z), self.in_channels, -1, *z.shape[2:])
        for axis in range(2 + self.dims, 2, -1):
            low, high = bands.chunk(2, 2)
            pair = torch.stack([low + high, low - high], axis + 1) * 0.5**0.5
            bands = pair.flatten(axis, axis + 1)
        return bands[:, :, 0]
