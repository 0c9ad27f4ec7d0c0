"""A nibabel image in memory as a volume, by the rules that hold for its file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from diffad.config.reading import ReadOptions
from diffad.data.affine import check_affine, check_field
from diffad.data.volume import Origin, Volume, VolumeError, check_intensities
from diffad.data.volume_axes import turn_to_canonical
from diffad.data.volume_formats import parse_volume_header
from diffad.data.volume_header import VolumeHeader, check_layout, make_header

NAME = Path("scan.nii.gz")
"""What messages and results call an image that was read from no file."""


def read_nibabel_image(
    image: Any,
    *,
    allow_constant: bool = False,
    options: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> Volume:
    """Take the voxels of a nibabel image, 3-D, or 4-D with sequences last.

    Args:
        image: The image, which is left as it is.
        allow_constant: Accept sequences without contrast, as masks may be.
        options: Which orientation is trusted, and how large it may be.

    Raises:
        VolumeError: If it has no usable geometry or voxels, or is too large.
    """
    path = Path(image.get_filename() or NAME)
    try:
        header = _parse_header(image, path, options)
        voxels = np.asanyarray(image.dataobj).astype(np.float32).reshape(header.shape)
    except VolumeError:
        raise
    except Exception as error:  # nibabel reads lazily, and its files fail in many ways
        reason = f"{type(error).__name__}: {error}"
        raise VolumeError(f"{path}: expected a readable nibabel image, found {reason}") from error
    data, affine = turn_to_canonical(voxels, header.affine)
    check_intensities(data, path, allow_constant)
    return Volume(data, affine, Origin(header.header, header.affine, path, options), header.warnings)


def _parse_header(image: Any, path: Path, options: ReadOptions) -> VolumeHeader:
    if not isinstance(image.header, nib.Nifti1Header):
        return _make_header(image, path, options)
    kind = nib.Nifti2Header if isinstance(image.header, nib.Nifti2Header) else nib.Nifti1Header
    header = kind(image.header.binaryblock, image.header.endianness, check=False)
    header["magic"], header["vox_offset"] = kind.single_magic, kind.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0  # nibabel forgets them, and scales on its own
    stream = io.BytesIO(header.binaryblock + bytes(4))  # without extensions
    return parse_volume_header(stream, path, options)


def _make_header(image: Any, path: Path, options: ReadOptions) -> VolumeHeader:
    shape, dtype = check_layout(image.header, path, options)
    affine = check_affine(image.affine, path)
    warnings = tuple(check_field(affine, shape, path))
    return VolumeHeader(make_header(shape, affine), affine, shape, dtype, 0, (None, None), warnings)


def is_nibabel_image(value: object) -> bool:
    """Tell whether a value is an image of nibabel."""
    return isinstance(value, nib.spatialimages.SpatialImage)
