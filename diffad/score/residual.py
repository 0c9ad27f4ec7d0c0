"""Residuals: how far each voxel of the scan is from its reconstruction."""

from __future__ import annotations

from einops import reduce
from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.types import Reconstruction

CHANNELS = ("mean", "sum", "max")


def check_channels(channels: str) -> str:
    """Return a known way to make one map of all channels.

    Raises:
        ValueError: If it is unknown.
    """
    if channels not in CHANNELS:
        raise ValueError(f"channels must be one of {CHANNELS}, got {channels!r}")
    return channels


def reduce_channels(scores: Tensor, channels: str) -> Tensor:
    """Make one map (B, 1, *S) of the maps of all channels (B, C, *S), by their "mean", "sum" or "max"."""
    return reduce(scores, "b c ... -> b 1 ...", channels)


@SCORES.register("l1")
class L1Score:
    r"""Absolute residual of all channels together.

    .. math:: a = \tfrac{1}{C} \sum_c |x_c - \hat{x}_c|

    Args:
        channels: "mean" as above, "sum" without the 1/C, or "max".

    Raises:
        ValueError: If ``channels`` is unknown.

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022);
        the sum: Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022), section 2.
    """

    def __init__(self, channels: str = "mean") -> None:
        self.channels = check_channels(channels)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair_images(x, restoration)
        return average_inside(reduce_channels((x - x_hat).abs(), self.channels), mask)


@SCORES.register("l2")
class L2Score:
    r"""Squared residual, mean over the channels.

    .. math:: a = \tfrac{1}{C} \sum_c (x_c - \hat{x}_c)^2

    Reference:
        AnoDDPM (Wyatt et al., CVPR Workshops 2022).
    """

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair_images(x, restoration)
        return average_inside((x - x_hat).square(), mask)
