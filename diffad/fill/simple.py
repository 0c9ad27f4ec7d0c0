"""Fills that need no model: what a network has to beat, and what it starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg

from diffad.data.volume import Array

RIM = 3
"""Width of the rim whose mean fills a region, in voxels."""
TIE = 1e-6
"""Weight by which voxels that touch nothing known are tied to the mean of the brain."""


def fill_harmonic(image: Array, hole: Array, context: Array, spacing: Array) -> Array:
    r"""Fill a region with the smoothest values that continue what is known around it.

    .. math:: \Delta u = 0 \text{ in the region}, \quad u = x \text{ in the brain around it}

    and no flux across the surface of the brain.

    Args:
        image: Scan, (I, J, K).
        hole: What is filled, (I, J, K), bool.
        context: Brain that stays, (I, J, K), bool.
        spacing: Edges of a voxel, (3,), in mm.

    Returns:
        The filled scan, (I, J, K), float32.
    """
    box = _find_box(hole)
    region, rim, values = hole[box], context[box] & ~hole[box], image[box].astype(np.float64)
    mean = float(image[context & ~hole].mean())
    matrix, right, diagonal = _assemble(region, rim, values, spacing, mean)
    return _put(image, hole, _solve(matrix, right, diagonal, mean))


def fill_rim_mean(image: Array, hole: Array, context: Array) -> Array:
    """Fill a region with the mean of the brain within three voxels of it; arguments as ``fill_harmonic``."""
    near = ndimage.binary_dilation(hole, iterations=RIM) & context & ~hole
    rim = near if near.any() else context & ~hole
    return _put(image, hole, np.full(int(hole.sum()), image[rim].mean()))


def fill_mirror(image: Array, hole: Array, context: Array, spacing: Array) -> Array:
    """Fill a region with what lies opposite of it, across the middle of the brain from left to right.

    What has no healthy counterpart, as at the midline, is filled harmonically. Arguments as
    ``fill_harmonic``.
    """
    columns = np.flatnonzero((context | hole).any((1, 2)))
    total = int(columns[0] + columns[-1])
    points = np.argwhere(hole)
    opposite = points.copy()
    opposite[:, 0] = total - points[:, 0]
    start = fill_harmonic(image, hole, context, spacing)
    usable = (context & ~hole)[tuple(opposite.T)]
    values = np.where(usable, image[tuple(opposite.T)], start[tuple(points.T)])
    return _put(image, hole, values)


def _find_box(hole: Array) -> tuple[slice, ...]:
    """Return the box around a region and its neighbours; wrapping at its ends meets no region."""
    cuts = ndimage.find_objects(hole.astype(np.uint8))[0]
    return tuple(slice(max(cut.start - 1, 0), cut.stop + 1) for cut in cuts)


def _assemble(
    region: Array, rim: Array, values: Array, spacing: Array, mean: float
) -> tuple[sparse.spmatrix, Array, Array]:
    """Return the equations of the smoothest values in a region: matrix, right side, diagonal."""
    number = np.full(region.shape, -1)
    number[region] = np.arange(int(region.sum()))
    size = int(region.sum())
    diagonal, right = np.full(size, TIE), np.full(size, TIE * mean)
    rows, columns, weights = [], [], []
    for axis in range(3):
        weight = 1 / float(spacing[axis]) ** 2
        for step in (1, -1):
            views = np.roll(number, -step, axis), np.roll(rim, -step, axis), np.roll(values, -step, axis)
            n, is_rim, value = (array[region] for array in views)
            has_number = n >= 0
            rows.append(np.flatnonzero(has_number))
            columns.append(n[has_number])
            weights.append(np.full(int(has_number.sum()), -weight))
            diagonal += weight * (has_number | (is_rim > 0))
            right += np.where(is_rim, weight * value, 0)
    matrix = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (size, size)
    ) + sparse.diags(diagonal)
    return matrix, right, diagonal


def _solve(matrix: sparse.spmatrix, right: Array, diagonal: Array, mean: float) -> NDArray[np.float64]:
    scale = sparse.diags(1 / diagonal)
    values, fault = cg(matrix, right, x0=np.full(len(right), mean), rtol=1e-5, maxiter=5000, M=scale)
    if fault:
        raise ValueError(f"expected a smooth fill to be found, got none after {fault} iterations")
    result: NDArray[np.float64] = values
    return result


def _put(image: Array, hole: Array, values: Array) -> Array:
    result = image.astype(np.float32, copy=True)
    result[hole] = values
    return result
