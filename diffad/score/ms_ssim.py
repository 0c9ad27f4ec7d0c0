"""Structural dissimilarity at several scales: fine texture and coarse shape in one map."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d, interpolate

from diffad.registry import SCORES
from diffad.score.base import average_inside, pair_images
from diffad.score.ssim import SSIMScore
from diffad.types import Reconstruction


@SCORES.register("ms_ssim")
class MultiScaleSSIM:
    r"""Mean of the structural dissimilarities of ever coarser images.

    .. math:: a = \frac{1}{K} \sum_{k=0}^{K-1} \uparrow_{2^k} \Big( 1 - \mathrm{SSIM}(\downarrow_{2^k} x,
              \downarrow_{2^k} \hat x) \Big)

    Each map is clipped to [0, 1]. The published measure multiplies powers of means over the image; this is
    the map that says where. Scales with an axis too short for the window are left out. Thresholds do not
    carry over from another number of scales, window or score.

    Args:
        scales: Number :math:`K` of scales, each half as fine as the one before.
        window: Odd width of the window, in pixels of each scale.
        sigma: Width of Gaussian weights, in pixels; uniform weights if absent.
        data_range: Largest difference of two intensities.

    Raises:
        ValueError: If an option is out of range, or on call, the shapes do not fit or the image is not wider
            than half the window.

    Reference:
        Multiscale structural similarity for image quality assessment (Wang et al., 2003).
    """

    def __init__(
        self, scales: int = 4, window: int = 11, sigma: float | None = 1.5, data_range: float = 1.0
    ) -> None:
        if scales < 1:
            raise ValueError(f"expected scales of at least 1, got {scales}")
        self._ssim = SSIMScore(window, sigma, data_range)
        self.scales, self.window, self.sigma, self.data_range = scales, window, sigma, data_range

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        x, x_hat = pair_images(x, restoration)
        total, count = self._ssim(x, Reconstruction(x_hat, nfe=0)), 1
        for level in range(1, self.scales):
            x, x_hat = _halve(x), _halve(x_hat)
            if min(x.shape[2:]) <= self.window // 2:
                break
            total = total + _enlarge(self._ssim(x, Reconstruction(x_hat, nfe=0)), 2**level, total)
            count += 1
        return average_inside(total / count, mask)


def _halve(x: Tensor) -> Tensor:
    """Average blocks of 2 voxels a side; what is left over at an end is a block of its own."""
    pool = avg_pool2d if x.ndim == 4 else avg_pool3d
    return pool(x, 2, ceil_mode=True, count_include_pad=False)


def _enlarge(x: Tensor, factor: int, like: Tensor) -> Tensor:
    """Interpolate so that each voxel lies on the block it stands for, and cut to the size of ``like``."""
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    large = interpolate(x, scale_factor=factor, mode=mode)
    for axis in range(2, like.ndim):
        large = large.narrow(axis, 0, like.shape[axis])
    return large
