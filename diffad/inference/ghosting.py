"""How much fine detail of a scan lies elsewhere once more, as after motion, and how much there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array

CELL_MM = 2.0
"""Edge of the cells in which detail is measured; voxels that are larger stay as they are."""
SMOOTH_MM = 4.0
"""SD of what is taken away from an image to leave its detail."""
RIM_MM = 6.0
"""Depth of the rim of the brain that is left out, whose edge has detail of its own."""
NEAREST_MM = 16.0
"""Least distance of a ghost; closer, anatomy is like itself."""
THICKEST_MM = 4.0
"""Largest edge of a cell along which ghosts are looked for; thick slices are alike by chance."""
LEAST_SHARED = 0.15
"""Least share of the brain that must lie over its shifted self."""
BRIGHT_END = 90


def take_detail(image: Array, brain: Array, spacing: Sequence[float]) -> tuple[Array, Array, list[float]]:
    r"""Return what a smooth image lacks, interior the brain without its rim.

    .. math:: h = \frac{x - G_\sigma * x}{q_{90}}

    Args:
        image: Intensities, (I, J, K).
        brain: Brain mask, (I, J, K), bool.
        spacing: Voxel edges in mm.

    Returns:
        Detail :math:`h` as share of the bright end, where it is measured, and the edges of cells in mm.
    """
    factors = [max(1, round(CELL_MM / float(mm))) for mm in spacing]
    edges = [float(mm) * k for mm, k in zip(spacing, factors, strict=True)]
    cover = _pool(brain.astype(np.float32), factors)
    means = _pool(np.where(brain, image, 0).astype(np.float32), factors) / np.maximum(cover, 1e-6)
    interior = cover > 0.5
    means = np.where(interior, means, 0)
    sigma = [SMOOTH_MM / mm for mm in edges]
    weight = ndimage.gaussian_filter(interior.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(means, sigma) / np.maximum(weight, 0.05)
    bright = float(np.percentile(means[interior], BRIGHT_END)) if interior.any() else 1.0
    deep = ndimage.distance_transform_edt(np.pad(interior, 1), edges)[1:-1, 1:-1, 1:-1] > RIM_MM
    return np.where(deep, (means - smooth) / max(bright, 1e-6), 0), deep, edges


def _pool(values: Array, factors: Sequence[int]) -> Array:
    """Average blocks of voxels; what is left at the far ends is filled with zeros."""
    pad = [(0, -n % k) for n, k in zip(values.shape, factors, strict=True)]
    shape = [m for n, k in zip(values.shape, factors, strict=True) for m in (-(-n // k), k)]
    return np.pad(values, pad).reshape(shape).mean(axis=(1, 3, 5))


def measure_ghosting(detail: Array, interior: Array, spacing: Sequence[float]) -> float:
    r"""Return the largest correlation of detail with itself along an axis.

    .. math:: \max_{a,\, d \ge 16\,\mathrm{mm}} \frac{\sum_x h(x) h(x + d e_a)}
        {\sqrt{\sum_x h(x)^2 m(x + d e_a) \sum_x h(x + d e_a)^2 m(x)}}

    over shifts that leave enough of the brain :math:`m` over itself. A ghost of a share g at such a distance
    gives about g.

    Args:
        detail: Detail :math:`h`, (I, J, K), 0 outside.
        interior: Where it is measured, :math:`m`, bool.
        spacing: Cell edges in mm.
    """
    axes = [axis for axis in range(3) if float(spacing[axis]) <= THICKEST_MM]
    return max((_correlate_along(detail, interior, a, float(spacing[a])) for a in axes), default=0.0)


def _correlate_along(detail: Array, interior: Array, axis: int, mm: float) -> float:
    others, n = tuple(a for a in range(3) if a != axis), detail.shape[axis]
    h, h2, m = (np.fft.rfft(v.astype(np.float32), 2 * n, axis=axis) for v in (detail, detail**2, interior))
    product = _invert((np.abs(h) ** 2).sum(others), n)
    behind, ahead = ((h2 * m.conj()).sum(others), (m * h2.conj()).sum(others))
    energy = np.sqrt(np.maximum(_invert(behind, n) * _invert(ahead, n), 1e-12))
    shared = _invert((np.abs(m) ** 2).sum(others), n)
    far = (np.arange(n) * mm >= NEAREST_MM) & (shared > LEAST_SHARED * shared[0])
    return float(np.max(np.where(far, product / energy, 0.0))) if shared[0] > 0.5 else 0.0


def _invert(spectrum: Array, n: int) -> Array:
    return np.fft.irfft(spectrum, 2 * n)[:n]


def measure_detail(detail: Array, interior: Array, spacing: Sequence[float]) -> float:
    """Return the median absolute change over about 2 mm, the mean over the axes; 0 of what has none.

    Args:
        detail: Detail, (I, J, K).
        interior: Where it is measured, bool.
        spacing: Cell edges in mm.
    """
    medians = []
    for axis, mm in enumerate(spacing):
        k = max(1, round(CELL_MM / float(mm)))
        near, far = ([slice(None)] * 3 for _ in range(2))
        near[axis], far[axis] = slice(None, -k), slice(k, None)
        both = interior[tuple(near)] & interior[tuple(far)]
        if both.any():
            medians.append(float(np.median(np.abs(detail[tuple(far)] - detail[tuple(near)])[both])))
    return float(np.mean(medians)) if medians else 0.0
