"""The file of a filled scan: that of the scan itself, byte for byte, but for the voxels that were filled."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from diffad.data.volume import Array
from diffad.data.volume_axes import turn_to_stored
from diffad.fill.result import FilledScan
from diffad.io.atomic import write_bytes
from diffad.io.files import open_regular
from diffad.io.nifti import WRITTEN_SUFFIXES


def write_filled(result: FilledScan, path: Path) -> None:
    """Write a filled scan in the type, scaling and geometry of its own file.

    Whatever is no single NIfTI file becomes one in float32.

    Args:
        result: The filled scan.
        path: File to write, .nii.gz.

    Raises:
        OSError: If it cannot be written.
        ValueError: If the scan is no longer what it was.
    """
    source = result.scan.path
    if source is None or not source.name.lower().endswith(WRITTEN_SUFFIXES):
        result.scan.save(result.image, path)
        return
    write_bytes(path, gzip.compress(_replace_voxels(result, _read_whole(source)), 1, mtime=0))


def _read_whole(path: Path) -> bytes:
    with open_regular(path) as file:
        content = file.read()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _replace_voxels(result: FilledScan, content: bytes) -> bytes:
    """Return the bytes of a file with other values in the region, and no other change."""
    assert result.scan.origin is not None
    kind: Any = nib.Nifti2Header if content[:4] in _NIFTI2 else nib.Nifti1Header
    header = kind.from_fileobj(io.BytesIO(content))  # an image forgets offset and scaling
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    buffer = bytearray(content)
    count = int(np.prod(shape))
    voxels = np.frombuffer(buffer, dtype, count, int(header["vox_offset"])).reshape(shape, order="F")
    affine = result.scan.origin.affine
    fill_mask = turn_to_stored(result.region.fill_mask, affine).reshape(shape)
    values = turn_to_stored(result.image, affine).reshape(shape)
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope != 0 and np.isfinite(slope):
        values = (values.astype(np.float64) - inter) / slope
    voxels[fill_mask] = _cast(values[fill_mask], dtype)
    return bytes(buffer)


_NIFTI2 = (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")
"""Sizes that headers of the second version begin with."""


def _cast(values: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    return values.astype(dtype)
