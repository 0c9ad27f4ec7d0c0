"""Slices of a tilted gantry, moved to a grid at right angles.

dcm2niix does this, too, but its result lies where the headers have it only for one direction of the tilt and
one order of columns and slices; here it follows from the headers in all cases.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from diffad.data.volume_error import VolumeError
from diffad.dicom.geometry import make_affine
from diffad.dicom.places import FramePlace
from diffad.io.dicom_files import DicomSource
from diffad.io.extras import import_extra

Array = npt.NDArray[Any]


def write_upright(source: DicomSource, places: list[FramePlace], target: Path) -> None:
    """Write the slices of a tilted gantry as a NIfTI file on a grid at right angles.

    Args:
        source: Images, one slice each, in the order of ``places``.
        places: Where they lie, in order.
        target: The file.

    Raises:
        VolumeError: If their pixels cannot be read.
        ImportError: If a package of the extra ``dicom`` is missing.
    """
    stack = np.stack([_read_pixels(path, source.label) for path in source.files], axis=2)
    data, affine = straighten(stack, make_affine(places), places[0].affine)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, target)


def straighten(stack: Array, sheared: Array, upright: Array) -> tuple[Array, Array]:
    r"""Resample sheared slices along their own planes, linearly; outside of them is the smallest value.

    With the shift of neighbouring slices :math:`t` in pixels, column :math:`u` of slice :math:`k` of the new
    grid shows :math:`c = u + u_0 - k t` of the old one, and rows alike.

    Args:
        stack: Values by column, row and slice, (C, R, N).
        sheared: Its voxel to RAS matrix, (4, 4), in mm.
        upright: The same with a third column of 1 mm along the normal of the slices.

    Returns:
        Values (C', R', N), float32, and the voxel to RAS matrix of the new grid.
    """
    shift_columns, shift_rows, distance = np.linalg.solve(upright[:3, :3], sheared[:3, 2])
    shifts = np.array([shift_columns, shift_rows])
    ends = shifts * (stack.shape[2] - 1)
    starts = np.floor(np.minimum(ends, 0) + 1e-6)
    sizes = [math.ceil(n + abs(e) - 1e-6) for n, e in zip(stack.shape[:2], ends, strict=True)]
    matrix = np.eye(3)
    matrix[:2, 2] = -shifts
    data = ndimage.affine_transform(
        stack.astype(np.float32),
        matrix,
        offset=[*starts, 0],
        output_shape=(*sizes, stack.shape[2]),
        order=1,
        mode="nearest",
    )
    data[~_find_inside(stack.shape, data.shape, shifts, starts)] = stack.min()
    affine = upright.copy()
    affine[:3, 2] *= distance
    affine[:3, 3] += upright[:3, :2] @ starts
    return data, affine


def _find_inside(old: tuple[int, ...], new: tuple[int, ...], shifts: Array, starts: Array) -> Array:
    """Return which voxels of the new grid lie less than a pixel outside of the old slices, bool."""
    mask = np.ones(new, dtype=bool)
    slices = np.arange(old[2])
    for axis in (0, 1):
        places = np.arange(new[axis])[:, None] + starts[axis] - slices * shifts[axis]
        fits = (places > -1) & (places < old[axis])
        mask &= np.expand_dims(fits, 1 - axis)
    return mask


def _read_pixels(path: Path, label: str) -> Array:
    """Read one image in its unit, as (columns, rows)."""
    pydicom = import_extra("pydicom", "dicom")
    try:
        item = pydicom.dcmread(path)
        slope, intercept = item.get("RescaleSlope", 1), item.get("RescaleIntercept", 0)
        values: Array = item.pixel_array.T * float(slope) + float(intercept)
    except Exception as error:  # decoders raise a dozen unrelated types
        reason = f"some that cannot be ({type(error).__name__})"
        raise VolumeError(f"{label}: expected images that can be decoded, found {reason}") from error
    return values
