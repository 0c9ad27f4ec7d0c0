"""Scans at the size that a detector looks at them, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
C1, C2 = 0.01**2, 0.03**2


def resize(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bring ``x`` (B, C, *S) to the spatial lengths ``size``, linearly; averaged where it shrinks."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    shrinks = x.ndim == 4 and all(n >= m for n, m in zip(x.shape[2:], size, strict=True))
    return F.interpolate(x, tuple(size), mode=MODES[x.ndim - 2], align_corners=False, antialias=shrinks)


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Return the squared difference of each voxel, mean over the channels, (B, 1, *S)."""
    return (x_hat - x).square().mean(1, keepdim=True)


def absolute_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Return the absolute difference of each voxel, mean over the channels, (B, 1, *S)."""
    return (x_hat - x).abs().mean(1, keepdim=True)


def dissimilarity(x: Tensor, x_hat: Tensor, window: int = 11) -> Tensor:
    r"""Return the structural dissimilarity of each voxel, mean over the channels, (B, 1, *S).

    .. math:: a = \tfrac{1}{2} \left(1 - \frac{(2 \mu_x \mu_{\hat x} + c_1)(2 \sigma_{x \hat x} + c_2)}
        {(\mu_x^2 + \mu_{\hat x}^2 + c_1)(\sigma_x^2 + \sigma_{\hat x}^2 + c_2)}\right)

    Args:
        x: Scans in [0, 1].
        x_hat: What is compared with them.
        window: Width of the uniform window, in voxels.

    Reference:
        Image quality assessment: from error visibility to structural similarity (Wang et al., 2004).
    """
    pool = F.avg_pool2d if x.ndim == 4 else F.avg_pool3d

    def mean(v: Tensor) -> Tensor:
        return pool(v, window, stride=1, padding=window // 2, count_include_pad=False)

    mu, mu_hat = mean(x), mean(x_hat)
    variance = (mean(x * x) - mu * mu) + (mean(x_hat * x_hat) - mu_hat * mu_hat)
    structure = (2 * (mean(x * x_hat) - mu * mu_hat) + C2) / (variance.clamp(min=0) + C2)
    luminance = (2 * mu * mu_hat + C1) / (mu * mu + mu_hat * mu_hat + C1)
    return (1 - (structure * luminance).mean(1, keepdim=True)) / 2


COMPARISONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": squared_error,
    "l1": absolute_error,
    "ssim": dissimilarity,
}
"""How a scan and what is rebuilt of it are compared, by the name of the loss."""
