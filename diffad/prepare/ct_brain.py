"""The brain of a CT: what lies inside the skull, by Hounsfield units and shape."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array
from diffad.prepare.geometry import VoxelGrid, bounding_box, make_upright_grid, map_voxels, resample

WORKING, TISSUE, NECK, RIM = 2.0, (0.0, 100.0), 8.0, 4.0
"""Voxel size in mm, Hounsfield units of brain, radius of a neck that is cut, thickness of the rim."""
NOISY = -30.0
"""Hounsfield units down to which a noisy voxel of the rim is fluid; fat is darker."""


def ct_brain(image: Array, grid: VoxelGrid, threads: int = 0) -> Array:
    r"""Find the brain of a CT.

    Soft tissue (0 to 100 HU) is opened with a ball, which cuts the brain from the eyes and the neck, as the
    holes between them are narrow, and drops the scalp, which is thin. The largest piece that is left is grown
    back into the tissue it came from, and its holes (blood, calcium, air) are filled.

    Args:
        image: Hounsfield units, (I, J, K).
        grid: Where they lie.
        threads: Threads; 0 for all cores.

    Returns:
        Brain mask, (I, J, K), bool; empty if there is no soft tissue.

    Reference:
        Validated automatic brain extraction of head CT images (Muschelli et al., 2015), for the window.
    """
    cubic = make_upright_grid(*bounding_box(np.ones(grid.shape, dtype=bool), grid.affine), WORKING)
    bounded = np.clip(image, -1024, 1000)
    coarse = resample(bounded, map_voxels(cubic, grid), cubic.shape, fill=-1024, threads=threads)
    found = _brain(ndimage.gaussian_filter(coarse, 0.6))
    matrix = map_voxels(grid, cubic)
    # coarse voxels at the rim are half bone and were lost, so one layer comes back; there bone is told from
    # tissue voxel by voxel, while blood and calcium deep inside belong to the brain
    wide = ndimage.binary_dilation(found, iterations=1)
    inside = resample(wide, matrix, grid.shape, threads=threads) > 0.5
    deep = ndimage.distance_transform_edt(found) > RIM / WORKING
    inner = resample(deep, matrix, grid.shape, threads=threads) > 0.5
    return np.asarray(inside & (inner | ((image > NOISY) & (image < TISSUE[1]))))


def _brain(image: Array) -> Array:
    tissue = np.pad((image > TISSUE[0]) & (image < TISSUE[1]), 1)
    radius = NECK / WORKING
    depth = ndimage.distance_transform_edt(tissue)
    core = _largest(depth > radius)
    if not core.any():
        return core[1:-1, 1:-1, 1:-1]
    grown = ndimage.distance_transform_edt(~core) <= radius + 0.5
    brain = _largest(grown & tissue)
    return ndimage.binary_fill_holes(_closed(brain))[1:-1, 1:-1, 1:-1]


def _closed(mask: Array, radius: float = 3.0) -> Array:
    wide = np.pad(mask, 4)
    near = ndimage.distance_transform_edt(~wide) <= radius
    return np.asarray(ndimage.distance_transform_edt(near) > radius)[4:-4, 4:-4, 4:-4]


def _largest(mask: Array) -> Array:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)
