"""How faithfully healthy tissue is rebuilt: scan against twin, inside a mask."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.ranking import check_binary, check_same_shape

Doubles = NDArray[np.float64]


def mae(image: ArrayLike, twin: ArrayLike, inside: ArrayLike | None = None) -> float:
    """Return the mean absolute difference of scan and twin (*S), in the unit of the intensities."""
    x, y, m = _images(image, twin, inside)
    return float(np.abs(x - y)[m].mean())


def psnr(image: ArrayLike, twin: ArrayLike, inside: ArrayLike | None = None) -> float:
    r"""Return the peak signal-to-noise ratio in dB for intensities in [0, 1]; infinite where they are equal.

    .. math:: PSNR = -10 \log_{10} \mathrm{mean} (x - \hat{x})^2
    """
    x, y, m = _images(image, twin, inside)
    error = float(np.square(x - y)[m].mean())
    return -10 * math.log10(error) if error else math.inf


def ssim(image: ArrayLike, twin: ArrayLike, inside: ArrayLike | None = None) -> float:
    """Return the mean of the ``ssim_map`` inside the mask."""
    x, y, m = _images(image, twin, inside)
    return float(ssim_map(x, y)[m].mean())


def ssim_map(image: ArrayLike, twin: ArrayLike, size: int = 7) -> Doubles:
    r"""Return the structural similarity at every voxel, as scikit-image defines it by default.

    .. math:: \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}

    with uniform windows, sample covariances, :math:`C_1 = .01^2, C_2 = .03^2`, and borders mirrored.

    Args:
        image: Scan, (*S), in [0, 1].
        twin: Twin, (*S), in [0, 1].
        size: Odd width of the window, in voxels.

    Raises:
        ValueError: If shapes differ or an axis is shorter than the window.

    Reference:
        Image quality assessment (Wang et al., 2004), eq. 13.
    """
    from scipy.ndimage import uniform_filter

    x, y, _ = _images(image, twin, None)
    if min(x.shape) < size:
        raise ValueError(f"expected at least {size} voxels along each axis, got shape {x.shape}")
    mean_x, mean_y = (uniform_filter(v, size) for v in (x, y))
    correction = size**x.ndim / (size**x.ndim - 1)
    var_x, var_y, cov = (
        correction * (uniform_filter(a * b, size) - p * q)
        for a, b, p, q in ((x, x, mean_x, mean_x), (y, y, mean_y, mean_y), (x, y, mean_x, mean_y))
    )
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    similarity: Doubles = above / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return similarity


def _images(image: Any, twin: Any, inside: Any) -> tuple[Doubles, Doubles, NDArray[np.bool_]]:
    x, y = (np.asarray(v, dtype=np.float64) for v in (image, twin))
    check_same_shape("image", x, "twin", y)
    m = np.ones(x.shape, bool) if inside is None else check_binary("inside", inside)
    check_same_shape("image", x, "inside", m)
    if not m.any():
        raise ValueError(f"expected a mask with at least one voxel, got an empty one of shape {m.shape}")
    return x, y, m
