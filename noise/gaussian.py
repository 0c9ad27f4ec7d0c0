"""White Gaussian noise."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.noise.base import per_item
from diffad.registry import NOISES
from diffad.types import Generators


@NOISES.register("gaussian")
class GaussianNoise:
    r"""Draws every voxel on its own, the noise diffusion models were derived for.

    .. math:: z \sim \mathcal{N}(0, I)

    Returns (on call):
        Noise shaped like its input, (B, C, *S).

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020, arXiv 2006.11239), equation 4.
    """

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); the level ``t`` plays no part."""

        def draw(g: torch.Generator) -> Tensor:
            return torch.randn(like.shape[1:], generator=g, device=g.device, dtype=like.dtype)

        return torch.stack(per_item(like, generator, draw)).to(like.device)
