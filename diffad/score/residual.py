"""Residuals: how far each voxel of the scan is from its twin."""

from __future__ import annotations

from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import inside, pair
from diffad.types import Restoration


@SCORES.register("l1")
class L1Score:
    r"""Absolute residual, mean over the channels.

    .. math:: a = \tfrac{1}{C} \sum_c |x_c - \hat{x}_c|

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022).
    """

    def __call__(self, x: Tensor, restoration: Restoration, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair(x, restoration)
        return inside((x - x_hat).abs(), mask)


@SCORES.register("l2")
class L2Score:
    r"""Squared residual, mean over the channels.

    .. math:: a = \tfrac{1}{C} \sum_c (x_c - \hat{x}_c)^2

    Reference:
        AnoDDPM (Wyatt et al., CVPR Workshops 2022).
    """

    def __call__(self, x: Tensor, restoration: Restoration, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair(x, restoration)
        return inside((x - x_hat).square(), mask)
