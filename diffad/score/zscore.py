"""Standard scores: how far a voxel is from its reconstructions, in units of how much these disagree."""

from __future__ import annotations

import math

from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images, require_spread
from diffad.types import Reconstruction


@SCORES.register("zscore")
class ZScore:
    r"""Absolute residual in units of the spread of several reconstructions, mean over the channels.

    .. math:: a = \tfrac{1}{C} \sum_c \frac{|x_c - \bar{x}_c|}{s_c + f}

    Args:
        floor: Spread :math:`f` that is added, in intensities of [0, 1]: a few may agree by chance.

    Raises:
        ValueError: If the floor is not positive.

    Reference:
        Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles (Lakshminarayanan et al.,
        2017), for the spread.
    """

    def __init__(self, floor: float = 0.01) -> None:
        if not 0 < floor < math.inf:
            raise ValueError(f"expected floor positive and finite, got {floor}")
        self.floor = floor

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit, or the sampler made a single reconstruction.
        """
        x, x_hat = pair_images(x, restoration)
        std = require_spread(restoration, "zscore").to(x.dtype)
        return average_inside((x - x_hat).abs() / (std + self.floor), mask)
