"""The way between a volume and the slices that it was made of, voxel by voxel, through the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from diffad.data.volume_error import VolumeError
from diffad.dicom.header import read_image_header

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """Pixels of one source image, or of one frame of it.

    Args:
        path: Its file.
        frame: Number of the frame in it, from 0.
        shape: Columns and rows.
        affine: From column and row (and mm along the normal) to mm of the patient in RAS, (4, 4).
    """

    path: Path
    frame: int
    shape: tuple[int, int]
    affine: Array


def read_slice_grids(files: Sequence[Path]) -> list[SliceGrid]:
    """Read where the pixels of source images lie, in the order of the files.

    Raises:
        VolumeError: If a header does not say; the number of the file is named, not its name.
        ImportError: If pydicom is missing.
    """
    grids = []
    for number, path in enumerate(files):
        header = read_image_header(path)
        if header is None or not header.places:
            expectation = "pixel spacing, position and orientation"
            raise VolumeError(f"image {number + 1} of {len(files)}: expected {expectation}, found none")
        grids += [
            SliceGrid(path, frame, header.shape, place.affine) for frame, place in enumerate(header.places)
        ]
    return grids


def sample_on_slice(image: Array, affine: Array, grid: SliceGrid, order: int = 1) -> Array:
    """Sample a volume at the places in the patient of each pixel of a source image.

    This holds for a volume on any grid, so also for one that was made upright from a tilted gantry.

    .. math:: v(r, c) = V(A^{-1} G (c, r, 0, 1)^T)

    Args:
        image: Volume :math:`V`, (I, J, K).
        affine: Its voxel to RAS matrix :math:`A`, (4, 4), in mm.
        grid: Pixels, with their matrix :math:`G`.
        order: 0 takes the nearest voxel, for labels; 1 is linear.

    Returns:
        Values, (rows, columns); 0 outside the volume.
    """
    columns, rows = grid.shape
    matrix = np.linalg.inv(affine) @ grid.affine
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    points = matrix[:3, :2] @ np.stack([column.ravel(), row.ravel()]) + matrix[:3, 3:]
    points = _settle(points, np.array(image.shape))
    values = ndimage.map_coordinates(np.asarray(image), points, order=order, mode="constant", cval=0)
    result: Array = values.reshape(rows, columns)
    return result


def _settle(points: Array, shape: Array) -> Array:
    """Move points that rounding put just outside the volume onto its edge."""
    inner = np.clip(points, 0, shape[:, None] - 1)
    result: Array = np.where(np.abs(points - inner) < 1e-3, inner, points)
    return result
