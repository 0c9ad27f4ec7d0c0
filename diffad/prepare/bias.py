"""The bias field: the smooth variation of brightness that the coils of a scanner cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.io.extras import import_extra
from diffad.prepare.geometry import VoxelGrid
from diffad.prepare.record import count_threads

FIELD_SPACING = 4.0
"""Voxel size of the estimate of the field, in mm: 4 times coarser than a usual scan."""
ITERATIONS = (50, 50, 40, 30)


def estimate_bias_field(image: Array, brain: Array, grid: VoxelGrid, threads: int = 0) -> Array:
    r"""Estimate the bias field of one sequence by N4, inside the brain.

    .. math:: v(x) = u(x) f(x), \quad \langle \log f \rangle_{brain} = 0

    The field is estimated on few voxels and evaluated as a B-spline on all of them, so that the correction
    can be undone exactly. Its geometric mean over the brain is 1: intensities keep their level.

    Args:
        image: Scan :math:`v`, (I, J, K).
        brain: Mask in which the field is fitted, (I, J, K), bool.
        grid: Grid of the scan.
        threads: Threads; 0 for all cores.

    Returns:
        Field :math:`f`, (I, J, K), positive.

    Reference:
        N4ITK: Improved N3 Bias Correction (Tustison et al., 2010).
    """
    sitk = import_extra("SimpleITK", "prepare")
    full = _make_image(sitk, np.maximum(image, 0), grid)
    mask = _make_image(sitk, (brain & (image > 0)).astype(np.uint8), grid)
    factors = shrink_factors(grid)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(count_threads(threads))
    n4.SetMaximumNumberOfIterations(list(ITERATIONS))
    n4.Execute(sitk.Shrink(full, factors), sitk.Shrink(mask, factors))
    field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(full)).transpose(2, 1, 0)
    return np.exp(field - field[brain].mean(), dtype=np.float32)


def shrink_factors(grid: VoxelGrid) -> list[int]:
    """Return the shrink factor of each axis; it is 1 for thick slices."""
    axes = zip(grid.spacing, grid.shape, strict=True)
    return [int(np.clip(round(FIELD_SPACING / s), 1, n // 4)) for s, n in axes]


def _make_image(sitk: Any, data: Array, grid: VoxelGrid) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing.tolist())
    return image
