"""Finding the brain of a CT inside its skull, by Hounsfield units and shape."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array
from diffad.prepare.geometry import VoxelGrid, find_bounding_box, make_upright_grid, map_voxels, resample

WORKING_SPACING, TISSUE, NECK_RADIUS, RIM_WIDTH = 2.0, (0.0, 100.0), 8.0, 4.0
"""Voxel size in mm, Hounsfield units of brain, radius of a neck that is cut, width of the rim in mm."""
FLUID_LIMIT = -30.0
"""Smallest Hounsfield units of fluid in the rim, with noise; fat is darker."""


def find_brain_ct(image: Array, grid: VoxelGrid, threads: int = 0) -> Array:
    r"""Find the brain of a CT.

    Soft tissue (0 to 100 HU) is opened with a ball, which cuts the brain from the eyes and the neck, as the
    holes between them are narrow, and drops the scalp, which is thin. The largest remaining piece is dilated
    within the tissue, and its holes (blood, calcium, air) are filled.

    Args:
        image: Hounsfield units, (I, J, K).
        grid: Grid of the voxels.
        threads: Threads; 0 for all cores.

    Returns:
        Brain mask, (I, J, K), bool; empty if there is no soft tissue.

    Reference:
        Validated automatic brain extraction of head CT images (Muschelli et al., 2015), for the window.
    """
    corners = find_bounding_box(np.ones(grid.shape, dtype=bool), grid.affine)
    cubic = make_upright_grid(*corners, WORKING_SPACING)
    limited_image = np.clip(image, -1024, 1000)
    coarse = resample(limited_image, map_voxels(cubic, grid), cubic.shape, fill=-1024, threads=threads)
    coarse_brain = _segment(ndimage.gaussian_filter(coarse, 0.6))
    matrix = map_voxels(grid, cubic)
    # coarse voxels at the rim are half bone and were dropped, so one layer is added; in it each voxel is
    # tested for bone, while blood and calcium deep inside belong to the brain
    dilation = ndimage.binary_dilation(coarse_brain, iterations=1)
    outer = resample(dilation, matrix, grid.shape, threads=threads) > 0.5
    core = ndimage.distance_transform_edt(coarse_brain) > RIM_WIDTH / WORKING_SPACING
    inner = resample(core, matrix, grid.shape, threads=threads) > 0.5
    return np.asarray(outer & (inner | ((image > FLUID_LIMIT) & (image < TISSUE[1]))))


def _segment(image: Array) -> Array:
    tissue = np.pad((image > TISSUE[0]) & (image < TISSUE[1]), 1)
    radius = NECK_RADIUS / WORKING_SPACING
    depth = ndimage.distance_transform_edt(tissue)
    core = _select_largest(depth > radius)
    if not core.any():
        return core[1:-1, 1:-1, 1:-1]
    dilation = ndimage.distance_transform_edt(~core) <= radius + 0.5
    brain = _select_largest(dilation & tissue)
    return ndimage.binary_fill_holes(_close_gaps(brain))[1:-1, 1:-1, 1:-1]


def _close_gaps(mask: Array, radius: float = 3.0) -> Array:
    frame = np.pad(mask, 4)
    dilation = ndimage.distance_transform_edt(~frame) <= radius
    return np.asarray(ndimage.distance_transform_edt(dilation) > radius)[4:-4, 4:-4, 4:-4]


def _select_largest(mask: Array) -> Array:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
