"""Convolutions between two scales of a U-Net, where these are not inside residual blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WAYS = ("block", "convolution")
"""How lengths are halved and doubled: inside a residual block, or by a convolution of its own."""


class Halving(nn.Module):
    """Halves every length by a convolution of 3 positions and stride 2.

    Args:
        dims: Spatial axes, 2 or 3.
        width: Channels.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), appendix B; as an option in Diffusion
        Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), section 3.
    """

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        layer = nn.Conv2d if dims == 2 else nn.Conv3d
        self.conv = layer(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) of even lengths to (B, width, *S/2); ``emb`` plays no part."""
        answer: Tensor = self.conv(x)
        return answer


class Doubling(nn.Module):
    """Repeats every position twice along each axis, and convolves what is there; see ``Halving``."""

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        layer = nn.Conv2d if dims == 2 else nn.Conv3d
        self.conv = layer(width, width, 3, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) to (B, width, *2S); ``emb`` plays no part."""
        answer: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return answer


def check_way(resample: str, name: str) -> None:
    """Refuse an unknown way to halve and double lengths.

    Raises:
        ValueError: If it is none of ``WAYS``.
    """
    if resample not in WAYS:
        raise ValueError(f"{name} expected resample of {', '.join(WAYS)}, got {resample!r}")
