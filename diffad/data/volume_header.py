"""What the header of a volume says, and what every header must fulfil."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from diffad.config.reading import ReadOptions
from diffad.data.affine import Affine
from diffad.data.volume_error import demand

MAX_OFFSET = 2**26
"""Most bytes before the voxels, header and extensions; more would be no header."""


@dataclass(frozen=True)
class VolumeHeader:
    """What a file says of its voxels.

    Args:
        header: NIfTI header of maps of this volume; that of the file itself, if it is NIfTI.
        affine: Voxel to world matrix of the voxels as stored, (4, 4), in mm.
        shape: Voxels as stored, (I, J, K) or (I, J, K, C).
        dtype: Type of a voxel on disk.
        offset: Byte at which the voxels begin.
        scaling: Slope and intercept of the stored numbers, each none for no scaling.
        warnings: What should be known of the file.
    """

    header: nib.Nifti1Header
    affine: Affine
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    scaling: tuple[float | None, float | None]
    warnings: tuple[str, ...] = ()

    @property
    def voxels(self) -> int:
        """Number of voxels, over all channels."""
        return math.prod(self.shape)


def check_layout(header: Any, path: Path, options: ReadOptions) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the voxels; a single slice (I, J) is a volume (I, J, 1).

    Args:
        header: A header of nibabel.
        path: File that a message names.
        options: How it is read.

    Raises:
        VolumeError: If there can be no such volume, or it is too large.
    """
    dtype, shape = np.dtype(header.get_data_dtype()), tuple(int(n) for n in header.get_data_shape())
    demand(dtype.kind in "iuf", path, "one real number for each voxel", f"voxels of type {dtype}")
    shape = (*shape, 1) if len(shape) == 2 else shape
    demand(all(n > 0 for n in shape), path, "a volume with voxels", f"an empty one of shape {shape}")
    fits = len(shape) >= 3 and all(n == 1 for n in shape[4:])
    demand(fits, path, "3-D, or 4-D with sequences last", f"{len(shape)}-D {shape}")
    demand(sum(n > 1 for n in shape[:3]) >= 2, path, "a volume, or a slice", f"a line of shape {shape}")
    count, limit = math.prod(shape), options.max_voxels
    finding = f"{count} in its header, of shape {shape}; --max-voxels raises the limit"
    demand(count <= limit, path, f"a readable file of at most {limit} voxels", finding)
    return shape, dtype


def check_voxel_edges(header: Any, path: Path) -> None:
    """Refuse voxels of no size, which nibabel would repair in silence.

    Raises:
        VolumeError: If an edge is not positive.
    """
    spacing = header["pixdim"][1:4]
    positive = bool((np.isfinite(spacing) & (spacing > 0)).all())
    demand(positive, path, "positive voxel spacing (pixdim)", f"{spacing.tolist()} mm")


def check_offset(offset: float, least: int, path: Path) -> None:
    """Refuse voxels that begin inside the header, or far behind it.

    Raises:
        VolumeError: If the offset is no whole number from ``least`` on.
    """
    fits = least <= offset <= MAX_OFFSET and offset == int(offset)
    demand(fits, path, f"voxels that begin between byte {least} and {MAX_OFFSET} (vox_offset)", offset)


def make_header(shape: tuple[int, ...], affine: Affine) -> nib.Nifti1Header:
    """Return a NIfTI header with one geometry, in mm."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape[:3])
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header.set_xyzt_units("mm")
    return header
