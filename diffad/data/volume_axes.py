"""From the axes of a file to the canonical ones (RAS), and back into an image with its header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel import orientations

from diffad.data.volume_error import demand

Array = npt.NDArray[Any]
RAS = np.array([[0, 1], [1, 1], [2, 1]])


def turn_to_canonical(native: Array, affine: Array) -> tuple[Array, Array]:
    """Turn voxels as stored to RAS.

    Args:
        native: Voxels as stored, (I, J, K) or (I, J, K, C, ...).
        affine: Their voxel to world matrix, (4, 4).

    Returns:
        Voxels (C, I, J, K) in RAS, and their affine.
    """
    channels_last = native.reshape(*native.shape[:3], -1)
    orientation = orientations.io_orientation(affine)
    data = orientations.apply_orientation(channels_last, orientation)
    return np.moveaxis(data, -1, 0), affine @ orientations.inv_ornt_aff(orientation, native.shape[:3])


def turn_to_stored(image: Array, affine: Array | None) -> Array:
    """Turn a map in RAS to the axes of the file that its scan came from, channels last.

    Args:
        image: Map, (I, J, K) or (C, I, J, K), in RAS.
        affine: Voxel to world matrix of the scan as stored, (4, 4); none leaves it in RAS.
    """
    image = np.moveaxis(image, 0, -1) if image.ndim == 4 else image[..., None]
    if affine is not None:
        orientation = orientations.io_orientation(affine)
        image = orientations.apply_orientation(image, orientations.ornt_transform(RAS, orientation))
    return image[..., 0] if image.shape[-1] == 1 else image


def cast_exactly(values: Array, dtype: npt.DTypeLike, path: Path) -> Array:
    """Change the type of values.

    Raises:
        VolumeError: If an integer type cannot hold them.
    """
    target = np.dtype(dtype)
    with np.errstate(invalid="ignore"):
        cast = values.astype(target)
    exact = target.kind not in "iu" or np.array_equal(cast, values)
    demand(exact, path, f"values that {target} can hold", f"values from {values.min()} to {values.max()}")
    return cast


def make_image(values: Array, affine: Array, header: nib.Nifti1Header | None) -> nib.Nifti1Image:
    """Make a NIfTI image of a map.

    Args:
        values: The map, on the axes of its file.
        affine: Voxel to world matrix, (4, 4), in mm, where there is no header.
        header: Header of the scan it belongs to, which stays but for what describes the values.
    """
    if header is None:
        image = nib.Nifti1Image(values, affine)
        image.header.set_xyzt_units("mm")
        return image
    codes = {name: int(header[name]) for name in ("qform_code", "sform_code")}
    header = header.copy()
    header["qform_code"] = header["sform_code"] = 0  # nibabel drops, with a message, a code it does not know
    header.set_data_dtype(values.dtype)
    header.set_intent("none")
    header["cal_min"] = header["cal_max"] = 0
    image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    # Without an affine, nibabel leaves unit, qform and sform as they are, so that maps overlay the scan.
    image = image_class(values, None, header)
    for name, code in codes.items():
        image.header[name] = code
    return image
