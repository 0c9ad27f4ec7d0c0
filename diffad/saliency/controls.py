"""Controls that know nothing of disease: what a saliency must beat."""

from __future__ import annotations

import math

import torch
from einops import repeat
from torch import Tensor

from diffad.registry import SALIENCIES
from diffad.saliency.base import check_scan, mask_maps
from diffad.saliency.smooth import smooth
from diffad.types import generator_for


@SALIENCIES.register("random")
class Random:
    r"""One smooth random field, the same for all scans and channels of a shape.

    .. math:: S = g - \min g, \quad g = w_\sigma * n, \quad n \sim \mathcal{N}(0, 1)

    A sampler that edits a fraction of the voxels edits as many with it as with any other saliency.

    Args:
        seed: What the field follows from, with the shape of the scan.
        width: Standard deviation :math:`\sigma` of the blur, in voxels.

    Raises:
        ValueError: If the seed is negative or the width is not positive and finite.
    """

    def __init__(self, seed: int = 0, width: float = 8.0) -> None:
        if seed < 0 or not 0 < width < math.inf:
            raise ValueError(f"expected seed >= 0 and a finite width > 0, got {seed} and {width}")
        self.seed, self.width = seed, width

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, C, *S) for ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        x = check_scan(x, mask)
        n = torch.randn((1, 1, *x.shape[2:]), generator=generator_for(self.seed, 0))
        g = smooth(n, self.width)
        field = repeat((g - g.min()).to(x), "1 1 ... -> b c ...", b=len(x), c=x.shape[1])
        return mask_maps(field.clone(), mask)


@SALIENCIES.register("intensity")
class Intensity:
    r"""The scan itself: bright voxels are suspicious.

    .. math:: S = x

    Reference:
        Challenging Current Semi-Supervised Anomaly Segmentation Methods for Brain MRI (Meissen et al., 2021).
    """

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, C, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        return mask_maps(check_scan(x, mask).clamp(min=0).clone(), mask)


@SALIENCIES.register("uniform")
class Uniform:
    r"""The same everywhere: nothing stands out.

    .. math:: S = 1

    A sampler that edits what lies above a quantile edits nothing with it.
    """

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return ones (B, C, *S) for ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        return mask_maps(torch.ones_like(check_scan(x, mask)), mask)
