"""Residuals: how far each voxel of the scan is from its reconstruction."""

from __future__ import annotations

from einops import reduce
from torch import Tensor

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.types import Reconstruction

CHANNELS = ("mean", "sum", "max")


def check_channels(channels: str | int) -> str | int:
    """Return a known way to make one map of all channels, or the number of one of them.

    Raises:
        ValueError: If it is neither.
    """
    is_index = isinstance(channels, int) and not isinstance(channels, bool) and channels >= 0
    if channels not in CHANNELS and not is_index:
        raise ValueError(f"channels must be one of {CHANNELS} or the number of one, got {channels!r}")
    return channels


def reduce_channels(scores: Tensor, channels: str | int) -> Tensor:
    """Make one map (B, 1, *S) of the maps of all channels (B, C, *S).

    Args:
        scores: Maps of the channels.
        channels: Their "mean", "sum" or "max", or the number of the one that is taken, from 0 on.

    Raises:
        ValueError: If there is no channel of that number.
    """
    if isinstance(channels, str):
        return reduce(scores, "b c ... -> b 1 ...", channels)
    if channels >= scores.shape[1]:
        raise ValueError(f"expected channels below {scores.shape[1]}, the number there are, got {channels}")
    return scores[:, channels : channels + 1]


@SCORES.register("l1")
class L1Score:
    r"""Absolute residual of all channels together.

    .. math:: a = \tfrac{1}{C} \sum_c |x_c - \hat{x}_c|

    Args:
        channels: "mean" as above, "sum" without the 1/C, "max", or the number of one sequence, from 0 on.

    Raises:
        ValueError: If ``channels`` is unknown.

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022);
        the sum: Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022), section 2.
    """

    def __init__(self, channels: str | int = "mean") -> None:
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
