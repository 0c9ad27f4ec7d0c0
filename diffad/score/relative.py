"""The residual relative to the largest ones of its own image."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.types import Reconstruction


@SCORES.register("relative")
class RelativeScore:
    r"""Absolute residual, mean over the channels, as a fraction of a high percentile of it, capped at 1.

    .. math:: a = \min\left(1, \frac{r}{P_{95}(r)}\right), \quad r = \tfrac{1}{C} \sum_c |x_c - \hat{x}_c|

    The percentile is that of each item inside the mask; where it is 0, so is the map.

    Args:
        percentile: The percentile, in (0, 100].

    Raises:
        ValueError: If the percentile is out of range.

    Reference:
        Mask, Stitch, and Re-Sample (Bercea et al., 2023), section 2, where the percentile is that of the
        whole image: give no mask.
    """

    def __init__(self, percentile: float = 95.0) -> None:
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile must be in (0, 100], got {percentile}")
        self.percentile = percentile

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair_images(x, restoration)
        r = average_inside((x - x_hat).abs(), mask)
        masks = torch.ones_like(r, dtype=torch.bool) if mask is None else mask.bool()
        return torch.stack([self._scale_by_percentile(item, m) for item, m in zip(r, masks, strict=True)])

    def _scale_by_percentile(self, r: Tensor, mask: Tensor) -> Tensor:
        high = _interpolate_percentile(r[mask], self.percentile)
        return (r / high).clamp(max=1) if high > 0 else torch.zeros_like(r)


def _interpolate_percentile(values: Tensor, percentile: float) -> float:
    """Interpolate linearly between values (N,); ``torch.quantile`` refuses those of large volumes."""
    if not len(values):
        return 0.0
    place = (len(values) - 1) * percentile / 100
    below, sorted_values = int(place), values.sort().values
    above = min(below + 1, len(values) - 1)
    return float(sorted_values[below].lerp(sorted_values[above], place - below))
