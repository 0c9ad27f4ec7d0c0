"""Disagreement: where several reconstructions of one scan differ from each other."""

from __future__ import annotations

from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images, require_spread
from diffad.types import Reconstruction


@SCORES.register("spread")
class SpreadScore:
    r"""Standard deviation of several reconstructions, mean over the channels; the scan plays no part.

    .. math:: a = \tfrac{1}{C} \sum_c s_c

    It is a map of where the model is unsure, not of where the scan is odd: in our tables it finds lesions far
    less well than a residual, see docs/methods/comparison.md.

    Raises:
        ValueError: On call, if the shapes do not fit, or the sampler made a single reconstruction.

    Reference:
        Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles (Lakshminarayanan et al.,
        2017), with seeds for networks.
    """

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit, or the sampler made a single reconstruction.
        """
        x, _ = pair_images(x, restoration)
        std = require_spread(restoration, "spread").to(x.dtype)
        return average_inside(std, mask)
