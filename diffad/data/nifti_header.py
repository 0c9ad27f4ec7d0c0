"""Headers of NIfTI-1 and NIfTI-2, of single files and of pairs."""

from __future__ import annotations

import io
import logging
import math
from pathlib import Path
from typing import BinaryIO

import nibabel as nib

from diffad.config.reading import ReadOptions
from diffad.data.affine import check_affine, check_field
from diffad.data.orientation import read_geometry
from diffad.data.volume_header import VolumeHeader, check_layout, check_offset, check_voxel_edges

QUIET = logging.Logger("repairs", logging.CRITICAL + 1)
"""Hears of the repairs of nibabel, which go without saying."""
MANY = 8
"""Volumes along the fourth axis, above which they hardly are sequences."""


def read_nifti_header(
    header_class: type[nib.Nifti1Header], block: bytes, stream: BinaryIO, path: Path, options: ReadOptions
) -> VolumeHeader:
    """Read the header of a single file.

    Args:
        header_class: Class of nibabel.
        block: First bytes of the file, with the header.
        stream: What follows them.
        path: Name of the file.
        options: How it is read.

    Raises:
        VolumeError: If no volume can follow from it.
    """
    header = header_class(block[: header_class.sizeof_hdr], check=False)
    offset, least, warnings = float(header["vox_offset"]), header_class.single_vox_offset, []
    if offset == 0:
        offset, header["vox_offset"] = least, least
        warnings.append(f"vox_offset is 0, inside the header: voxels are read from byte {least}")
    check_offset(offset, least, path)
    block = header.binaryblock + block[len(header.binaryblock) :] + stream.read(int(offset) - len(block))
    header = header_class.from_fileobj(io.BytesIO(block), check=False)
    return _complete(header, int(offset), warnings, path, options)


def read_pair_header(
    pair_class: type[nib.Nifti1Header],
    single_class: type[nib.Nifti1Header],
    block: bytes,
    path: Path,
    options: ReadOptions,
) -> VolumeHeader:
    """Read the header of a pair.

    Args:
        pair_class: Class of nibabel.
        single_class: Class of single files with the same fields, which maps are.
        block: The file of the header.
        path: Its name.
        options: How it is read.

    Raises:
        VolumeError: If no volume can follow from it.
    """
    pair = pair_class.from_fileobj(io.BytesIO(block), check=False)
    offset = float(pair["vox_offset"])
    check_offset(offset, 0, path)
    header = single_class(pair.binaryblock, pair.endianness, check=False)
    header["magic"], header["vox_offset"] = single_class.single_magic, single_class.single_vox_offset
    return _complete(header, int(offset), [], path, options)


def _complete(
    header: nib.Nifti1Header, offset: int, warnings: list[str], path: Path, options: ReadOptions
) -> VolumeHeader:
    """Check a NIfTI header before nibabel repairs it, and read the geometry after."""
    shape, dtype = check_layout(header, path, options)
    check_voxel_edges(header, path)
    codes = {name: int(header[name]) for name in ("qform_code", "sform_code")}
    header.check_fix(QUIET, 40)
    for name, code in codes.items():
        header[name] = code  # the repair drops a code that it does not know, and its orientation with it
    affine, geometry_warnings = read_geometry(header, shape, options.trust)
    affine = check_affine(affine, path)
    notes = [*warnings, *geometry_warnings, *check_field(affine, shape, path), *_list_doubts(header, shape)]
    return VolumeHeader(header, affine, shape, dtype, offset, header.get_slope_inter(), tuple(notes))


def _list_doubts(header: nib.Nifti1Header, shape: tuple[int, ...]) -> list[str]:
    """List what is odd about the intensities and the fourth axis."""
    slope, doubts = float(header["scl_slope"]), []
    if not math.isfinite(slope):
        doubts.append(f"the slope of the intensities is {slope}: they are not scaled")
    if math.prod(shape[3:]) > MANY:
        doubts.append(f"{shape[3]} volumes, as of a time series or of diffusion, are taken for sequences")
    return doubts
