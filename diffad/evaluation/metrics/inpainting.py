"""How near a filled scan comes to the truth, as the BraTS challenge on inpainting scores it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]
PSNR_CAP = 100.0
"""What stands for the infinite ratio of a perfect fill, in dB."""
QUANTILES = (0.005, 0.995)
"""Ends of the window of intensities, over all voxels of the voided scan."""
SIGMA, RADIUS, K1, K2 = 1.5, 5, 0.01, 0.03
"""Gaussian window of the similarity in voxels, 11 wide, and its two constants."""


def measure_inpainting(truth: Any, fill: Any, hole_scan: Any, healthy: Any) -> dict[str, float]:
    r"""Score a fill of healthy tissue against the tissue that was there.

    .. math:: y = \text{clip}\Big(\frac{x - l}{h - l}, 0, 1\Big), \quad
        \text{MSE} = \frac{1}{|H|} \sum_{i \in H} (y_i - \hat y_i)^2

    with the ends :math:`l = \max(q_{.5}, 0)` and :math:`h = q_{99.5}` of the voided scan, background and
    holes counted in. "psnr_01" has the range 1, "psnr" that of the truth in the mask :math:`H`, to which both
    images are clamped first. "ssim_2d" takes slices along the first axis, as the official package does,
    "ssim_3d" the volume; both are means over the mask of images that are 0 outside it.

    Args:
        truth: The scan, (I, J, K).
        fill: The scan that was filled, (I, J, K).
        hole_scan: The scan with 0 where it was to be filled, (I, J, K).
        healthy: Where the fill is scored, (I, J, K).

    Returns:
        "mse", "psnr_01", "psnr", "ssim_2d" and "ssim_3d".

    Raises:
        ValueError: If the grids differ, the mask is empty, or the voided scan has no contrast.

    Reference:
        The Brain Tumor Segmentation Challenge 2023: Local Synthesis of Healthy Brain Tissue via Inpainting
        (Kofler et al., 2023).
    """
    mask = np.asarray(healthy).astype(bool)
    arrays = [np.asarray(image, dtype=np.float64) for image in (truth, fill, hole_scan)]
    if any(array.shape != mask.shape or array.ndim != 3 for array in arrays):
        shapes = [array.shape for array in arrays]
        raise ValueError(f"expected three images on the grid of the mask {mask.shape}, got {shapes}")
    if not mask.any():
        raise ValueError("expected a mask with voxels to score, got an empty one")
    y, y_hat = (scale_image(array * mask, arrays[2]) for array in arrays[:2])
    mse = float(((y - y_hat)[mask] ** 2).mean())
    return {
        "mse": mse,
        "psnr_01": _to_decibels(mse, 1.0),
        "psnr": _measure_clamped_ratio(y[mask], y_hat[mask]),
        "ssim_2d": float(map_similarity(y, y_hat, axes=(1, 2))[mask].mean()),
        "ssim_3d": float(map_similarity(y, y_hat, axes=(0, 1, 2))[mask].mean()),
    }


def scale_image(image: Doubles, hole_scan: Doubles) -> Doubles:
    """Bring an image (I, J, K) to [0, 1] by the percentiles of the voided scan.

    Raises:
        ValueError: If the voided scan has no contrast.
    """
    low, high = (float(q) for q in np.quantile(hole_scan, QUANTILES))
    low = max(low, 0.0)
    if not high > low:
        raise ValueError(f"expected a voided scan with contrast, got percentiles {low:g} and {high:g}")
    values: Doubles = (np.clip(image, low, high) - low) / (high - low)
    return values


def map_similarity(y: Doubles, y_hat: Doubles, axes: tuple[int, ...]) -> Doubles:
    """Map the structural similarity of two images (I, J, K), in windows along some axes."""
    from scipy.ndimage import gaussian_filter

    def smooth(x: Doubles) -> Doubles:
        result: Doubles = gaussian_filter(x, SIGMA, mode="mirror", radius=RADIUS, axes=axes)
        return result

    span = max(float(np.ptp(y)), float(np.ptp(y_hat)))
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    mean, mean_hat = smooth(y), smooth(y_hat)
    variances = np.clip(smooth(y**2) - mean**2, 0, None) + np.clip(smooth(y_hat**2) - mean_hat**2, 0, None)
    covariance = smooth(y * y_hat) - mean * mean_hat
    top = (2 * mean * mean_hat + c1) * (2 * covariance + c2)
    bottom = (mean**2 + mean_hat**2 + c1) * (variances + c2)
    return np.divide(top, bottom, out=np.ones_like(top), where=bottom > 0)


def measure_sharpness(truth: Any, fill: Any, mask: Any) -> float:
    """Return the mean squared gradient of a fill in a mask over that of the truth; less than 1 is blurred.

    Args:
        truth: The scan, (I, J, K).
        fill: The scan that was filled, (I, J, K).
        mask: Where both are compared, (I, J, K), bool.
    """
    energies = [
        float(np.mean([np.mean(np.asarray(g)[mask] ** 2) for g in np.gradient(np.asarray(image, float))]))
        for image in (fill, truth)
    ]
    return energies[0] / energies[1] if energies[1] > 0 else math.nan


def _measure_clamped_ratio(y: Doubles, y_hat: Doubles) -> float:
    low, high = float(y.min()), float(y.max())
    return _to_decibels(float(((y - np.clip(y_hat, low, high)) ** 2).mean()), high - low)


def _to_decibels(mse: float, span: float) -> float:
    if mse <= 0:
        return PSNR_CAP
    return min(PSNR_CAP, 10 * math.log10(span**2 / mse)) if span > 0 else -PSNR_CAP
