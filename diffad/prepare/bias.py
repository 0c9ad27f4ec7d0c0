"""The smooth brightness that a scanner's coils lay over a scan."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.prepare.extras import count_threads, import_extra
from diffad.prepare.geometry import VoxelGrid

COARSE = 4.0
"""Voxel size in mm at which the field is estimated: 4 times coarser than a usual scan."""
ITERATIONS = (50, 50, 40, 30)


def bias_field(image: Array, brain: Array, grid: VoxelGrid, threads: int = 0) -> Array:
    r"""Estimate the bias field of one sequence by N4, inside the brain.

    .. math:: v(x) = u(x) f(x), \quad \langle \log f \rangle_{brain} = 0

    The field is estimated on few voxels and laid out as a B-spline on all of them, so that a corrected scan
    can be multiplied back exactly. Its geometric mean over the brain is 1: intensities keep their level.

    Args:
        image: Scan :math:`v`, (I, J, K).
        brain: Where the field is fitted, (I, J, K), bool.
        grid: Where the scan lies.
        threads: Threads; 0 for all cores.

    Returns:
        Field :math:`f`, (I, J, K), positive.

    Reference:
        N4ITK: Improved N3 Bias Correction (Tustison et al., 2010).
    """
    sitk = import_extra("SimpleITK")
    full = _image(sitk, np.maximum(image, 0), grid)
    inside = _image(sitk, (brain & (image > 0)).astype(np.uint8), grid)
    factors = shrink_factors(grid)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(count_threads(threads))
    n4.SetMaximumNumberOfIterations(list(ITERATIONS))
    n4.Execute(sitk.Shrink(full, factors), sitk.Shrink(inside, factors))
    field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(full)).transpose(2, 1, 0)
    return np.exp(field - field[brain].mean(), dtype=np.float32)


def shrink_factors(grid: VoxelGrid) -> list[int]:
    """Return by how much each axis is thinned out; thick slices are not."""
    return [int(np.clip(round(COARSE / s), 1, n // 4)) for s, n in zip(grid.spacing, grid.shape, strict=True)]


def _image(sitk: Any, data: Array, grid: VoxelGrid) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing.tolist())
    return image
