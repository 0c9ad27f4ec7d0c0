"""White Gaussian noise, on request with a random brightness."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffad.noise.base import check_number, per_item
from diffad.registry import NOISES
from diffad.types import Generators


@NOISES.register("gaussian")
class GaussianNoise:
    r"""Draws every voxel on its own, and one constant for each item and channel.

    .. math:: z = \frac{\epsilon + \delta \, b}{\sqrt{1 + \delta^2}}, \quad \epsilon \sim \mathcal{N}(0, I),
        \quad b \sim \mathcal{N}(0, 1)

    With an offset a network learns to change the mean of an image, which white noise all but leaves alone.
    The division, which the published practice lacks, keeps the variance at 1.

    Args:
        offset: Standard deviation :math:`\delta` of the constant before the division, at least 0; .1 is
            common. None is drawn at 0.

    Returns (on call):
        Noise shaped like its input, (B, C, *S).

    Raises:
        ValueError: If the offset is out of range.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020, arXiv 2006.11239), equation 4.
        Diffusion with Offset Noise (Guttenberg, 2023); the flaw it answers is analysed in Common Diffusion
        Noise Schedules and Sample Steps are Flawed (Lin et al., 2024, arXiv 2305.08891).
    """

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = check_number("offset", offset, "of at least 0", lambda d: 0 <= d < math.inf)

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); the level ``t`` plays no part."""

        def draw(g: torch.Generator) -> Tensor:
            z = torch.randn(like.shape[1:], generator=g, device=g.device, dtype=like.dtype)
            if self.offset == 0:
                return z
            size = (like.shape[1], *[1] * (like.ndim - 2))
            constant = torch.randn(size, generator=g, device=g.device, dtype=like.dtype)
            return (z + self.offset * constant) / math.sqrt(1 + self.offset**2)

        return torch.stack(per_item(like, generator, draw)).to(like.device)
