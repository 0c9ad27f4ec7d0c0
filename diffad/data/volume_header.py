"""Headers of the files that hold volumes: NIfTI-1 and -2, alone or in a pair, Analyze, and MGH."""

from __future__ import annotations

import io
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import DATA_OFFSET, MGHHeader
from nibabel.spm2analyze import Spm2AnalyzeHeader

from diffad.config.reading import ReadOptions
from diffad.data.affine import Affine, check_affine, check_field, name_axes
from diffad.data.orientation import read_geometry
from diffad.data.volume_error import demand

MAX_OFFSET = 2**26
"""Most bytes before the voxels, header and extensions; more would be no header."""
PAIRS = {
    b"ni1\0": (nib.nifti1.Nifti1PairHeader, nib.Nifti1Header),
    b"ni2\0": (nib.nifti2.Nifti2PairHeader, nib.Nifti2Header),
}
"""Classes of the header of a pair, and of a single file with the same fields, by signature."""
QUIET = logging.Logger("repairs", logging.CRITICAL + 1)
"""Hears of the repairs of nibabel, which go without saying."""


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


def parse_volume_header(stream: BinaryIO, path: Path, options: ReadOptions) -> VolumeHeader:
    """Read the header of a volume; of a pair, the stream is that of its header.

    Args:
        stream: The file, decompressed, at its start; what is read of it lies before the voxels.
        path: Its name, for the format and for messages.
        options: How it is read.

    Raises:
        VolumeError: If no volume can follow from it.
        ValueError: If it has no signature of a format that is known, or nibabel cannot read it.
    """
    if ".mg" in path.suffix.lower():
        return _read_mgh(stream.read(DATA_OFFSET), path, options)
    block = stream.read(352)
    if block[344:348] == b"n+1\0":
        return _read_nifti(nib.Nifti1Header, block, stream, path, options)
    if block[4:8] == b"n+2\0":
        return _read_nifti(nib.Nifti2Header, block + stream.read(192), stream, path, options)
    block += stream.read(MAX_OFFSET)
    for magic, classes in PAIRS.items():
        if magic in (block[344:348], block[4:8]):
            return _read_pair(*classes, block, path, options)
    if 348 in (int.from_bytes(block[:4], order) for order in ("little", "big")) and len(block) >= 348:
        return _read_analyze(block[:348], path, options)
    raise ValueError(f"{len(block)} bytes without a NIfTI-1 or NIfTI-2 signature")


def _read_nifti(
    header_class: type[nib.Nifti1Header], block: bytes, stream: BinaryIO, path: Path, options: ReadOptions
) -> VolumeHeader:
    header = header_class(block[: header_class.sizeof_hdr], check=False)
    offset, least, warnings = float(header["vox_offset"]), header_class.single_vox_offset, []
    if offset == 0:
        offset, header["vox_offset"] = least, least
        warnings.append(f"vox_offset is 0, inside the header: voxels are read from byte {least}")
    fits = least <= offset <= MAX_OFFSET and offset == int(offset)
    demand(fits, path, f"voxels that begin between byte {least} and {MAX_OFFSET} (vox_offset)", offset)
    block = header.binaryblock + block[len(header.binaryblock) :] + stream.read(int(offset) - len(block))
    header = header_class.from_fileobj(io.BytesIO(block), check=False)
    return _complete(header, int(offset), warnings, path, options)


def _read_pair(
    pair_class: type[nib.Nifti1Header],
    single_class: type[nib.Nifti1Header],
    block: bytes,
    path: Path,
    options: ReadOptions,
) -> VolumeHeader:
    pair = pair_class.from_fileobj(io.BytesIO(block), check=False)
    offset = float(pair["vox_offset"])
    fits = 0 <= offset <= MAX_OFFSET and offset == int(offset)
    demand(fits, path, f"voxels that begin between byte 0 and {MAX_OFFSET} (vox_offset)", offset)
    header = single_class(pair.binaryblock, pair.endianness, check=False)
    header["magic"], header["vox_offset"] = single_class.single_magic, single_class.single_vox_offset
    return _complete(header, int(offset), [], path, options)


def _complete(
    header: nib.Nifti1Header, offset: int, warnings: list[str], path: Path, options: ReadOptions
) -> VolumeHeader:
    """Check a NIfTI header before nibabel repairs it, and read the geometry after."""
    shape, dtype = _check_voxels(header, path, options)
    spacing = header["pixdim"][1:4]
    positive = bool((np.isfinite(spacing) & (spacing > 0)).all())
    demand(positive, path, "positive voxel spacing (pixdim)", f"{spacing.tolist()} mm")
    codes = {name: int(header[name]) for name in ("qform_code", "sform_code")}
    header.check_fix(QUIET, 40)
    for name, code in codes.items():
        header[name] = code  # the repair drops a code that it does not know, and its orientation with it
    affine, geometry_warnings = read_geometry(header, shape, options.trust)
    affine = check_affine(affine, path)
    notes = [*warnings, *geometry_warnings, *check_field(affine, shape, path), *_check_scaling(header)]
    return VolumeHeader(header, affine, shape, dtype, offset, header.get_slope_inter(), tuple(notes))


def _check_scaling(header: nib.Nifti1Header) -> list[str]:
    slope = float(header["scl_slope"])
    return [] if math.isfinite(slope) else [f"the slope of the intensities is {slope}: they are not scaled"]


def _read_analyze(block: bytes, path: Path, options: ReadOptions) -> VolumeHeader:
    analyze = Spm2AnalyzeHeader(block, check=False)
    shape, dtype = _check_voxels(analyze, path, options)
    spacing = analyze["pixdim"][1:4]
    positive = bool((np.isfinite(spacing) & (spacing > 0)).all())
    demand(positive, path, "positive voxel spacing (pixdim)", f"{spacing.tolist()} mm")
    affine = check_affine(analyze.get_best_affine(), path)
    guess = f"voxel axes are taken to run {name_axes(affine)}, so left and right are a guess"
    notes = [f"an Analyze file has no orientation: {guess}", *check_field(affine, shape, path)]
    offset = int(analyze["vox_offset"])
    demand(0 <= offset <= MAX_OFFSET, path, "voxels that begin in their file (vox_offset)", offset)
    header = make_header(shape, affine)
    return VolumeHeader(header, affine, shape, dtype, offset, analyze.get_slope_inter(), tuple(notes))


def _read_mgh(block: bytes, path: Path, options: ReadOptions) -> VolumeHeader:
    demand(len(block) == DATA_OFFSET, path, "a readable MGH file", f"{len(block)} bytes")
    oriented = bool(int.from_bytes(block[28:30], "big"))
    mgh = MGHHeader(block[: MGHHeader._hdrdtype.itemsize])
    shape, dtype = _check_voxels(mgh, path, options)
    affine = check_affine(mgh.get_best_affine(), path)
    guess = f"voxel axes are taken to run {name_axes(affine)} with 1 mm"
    notes = [] if oriented else [f"the file has no orientation (goodRASFlag is 0): {guess}"]
    notes += check_field(affine, shape, path)
    return VolumeHeader(
        make_header(shape, affine), affine, shape, dtype, DATA_OFFSET, (None, None), tuple(notes)
    )


def make_header(shape: tuple[int, ...], affine: Affine) -> nib.Nifti1Header:
    """Return a NIfTI header with one geometry, in mm."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape[:3])
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header.set_xyzt_units("mm")
    return header


def _check_voxels(header: Any, path: Path, options: ReadOptions) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of the voxels, if there can be such a volume."""
    dtype, shape = np.dtype(header.get_data_dtype()), tuple(int(n) for n in header.get_data_shape())
    demand(dtype.kind in "iuf", path, "one real number for each voxel", f"voxels of type {dtype}")
    demand(all(n > 0 for n in shape), path, "a volume with voxels", f"an empty one of shape {shape}")
    fits = len(shape) >= 3 and all(n == 1 for n in shape[4:])
    demand(fits, path, "3-D, or 4-D with sequences last", f"{len(shape)}-D {shape}")
    demand(sum(n > 1 for n in shape[:3]) >= 2, path, "a volume, or a slice", f"a line of shape {shape}")
    count, limit = math.prod(shape), options.max_voxels
    finding = f"{count} in its header, of shape {shape}; --max-voxels raises the limit"
    demand(count <= limit, path, f"a readable file of at most {limit} voxels", finding)
    return shape, dtype
