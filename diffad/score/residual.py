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
    r"""Absolute residual of all channels together, or what is brighter or darker than it should be.

    .. math:: a = \tfrac{1}{C} \sum_c x_c^p \left( w_+ (x_c - \hat{x}_c)_+ + w_- (\hat{x}_c - x_c)_+ \right)

    With both weights 1 and :math:`p = 0` it is :math:`|x - \hat{x}|`. Lesions of a FLAIR are bright: there
    ``dark: 0`` leaves out what can only be an error of the reconstruction, and ``power: 1`` lets a residual
    count the more the brighter the tissue is.

    Args:
        channels: "mean" as above, "sum" without the 1/C, "max", or the number of one sequence, from 0 on.
        bright: Weight :math:`w_+` of what is brighter than the reconstruction, 0 or more.
        dark: Weight :math:`w_-` of what is darker.
        power: Exponent :math:`p` of the brightness of the scan, from 0 to 16.

    Raises:
        ValueError: If ``channels`` is unknown, no weight is above 0, or the exponent is out of range.

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022);
        the sum: Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022), section 2.
    """

    def __init__(
        self, channels: str | int = "mean", bright: float = 1.0, dark: float = 1.0, power: float = 0.0
    ) -> None:
        self.channels = check_channels(channels)
        self.bright, self.dark, self.power = bright, dark, power
        if not 0 <= power <= 16:
            raise ValueError(f"expected power in [0, 16], got {power}")
        if not (all(0 <= w < float("inf") for w in (bright, dark)) and bright + dark > 0):
            raise ValueError(f"expected weights of at least 0, one above, got {bright=} and {dark=}")

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S).

        Raises:
            ValueError: If the shapes do not fit.
        """
        x, x_hat = pair_images(x, restoration)
        scores = self._weigh(x - x_hat)
        scores = scores * x**self.power if self.power else scores
        return average_inside(reduce_channels(scores, self.channels), mask)

    def _weigh(self, residual: Tensor) -> Tensor:
        if self.bright == self.dark == 1:
            return residual.abs()
        return self.bright * residual.clamp(min=0) + self.dark * (-residual).clamp(min=0)


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
