"""Formats of volumes: which one a file has, and those that are not NIfTI, Analyze and MGH."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import nibabel as nib
from nibabel.freesurfer.mghformat import DATA_OFFSET, MGHHeader
from nibabel.spm2analyze import Spm2AnalyzeHeader

from diffad.config.reading import ReadOptions
from diffad.data.affine import check_affine, check_field, name_axes
from diffad.data.nifti_header import read_nifti_header, read_pair_header
from diffad.data.volume_error import demand
from diffad.data.volume_header import (
    MAX_OFFSET,
    VolumeHeader,
    check_layout,
    check_offset,
    check_voxel_edges,
    make_header,
)

PAIRS = {
    b"ni1\0": (nib.nifti1.Nifti1PairHeader, nib.Nifti1Header),
    b"ni2\0": (nib.nifti2.Nifti2PairHeader, nib.Nifti2Header),
}
"""Classes of the header of a pair, and of a single file with the same fields, by signature."""


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
        return read_nifti_header(nib.Nifti1Header, block, stream, path, options)
    if block[4:8] == b"n+2\0":
        return read_nifti_header(nib.Nifti2Header, block + stream.read(192), stream, path, options)
    block += stream.read(MAX_OFFSET)
    for magic, classes in PAIRS.items():
        if magic in (block[344:348], block[4:8]):
            return read_pair_header(*classes, block, path, options)
    if 348 in (int.from_bytes(block[:4], order) for order in ("little", "big")) and len(block) >= 348:
        return _read_analyze(block[:348], path, options)
    raise ValueError(f"{len(block)} bytes without a NIfTI-1 or NIfTI-2 signature")


def _read_analyze(block: bytes, path: Path, options: ReadOptions) -> VolumeHeader:
    analyze = Spm2AnalyzeHeader(block, check=False)
    shape, dtype = check_layout(analyze, path, options)
    check_voxel_edges(analyze, path)
    affine = check_affine(analyze.get_best_affine(), path)
    guess = f"voxel axes are taken to run {name_axes(affine)}, so left and right are a guess"
    notes = [f"an Analyze file has no orientation: {guess}", *check_field(affine, shape, path)]
    offset = float(analyze["vox_offset"])
    check_offset(offset, 0, path)
    header = make_header(shape, affine)
    return VolumeHeader(header, affine, shape, dtype, int(offset), analyze.get_slope_inter(), tuple(notes))


def _read_mgh(block: bytes, path: Path, options: ReadOptions) -> VolumeHeader:
    demand(len(block) == DATA_OFFSET, path, "a readable MGH file", f"{len(block)} bytes")
    version = int.from_bytes(block[:4], "big")
    demand(version == 1, path, "a readable MGH file, of version 1", f"version {version}")
    oriented = bool(int.from_bytes(block[28:30], "big"))
    mgh = MGHHeader(block[: MGHHeader._hdrdtype.itemsize])
    shape, dtype = check_layout(mgh, path, options)
    affine = check_affine(mgh.get_best_affine(), path)
    guess = f"voxel axes are taken to run {name_axes(affine)} with 1 mm"
    notes = [] if oriented else [f"the file has no orientation (goodRASFlag is 0): {guess}"]
    notes += check_field(affine, shape, path)
    return VolumeHeader(
        make_header(shape, affine), affine, shape, dtype, DATA_OFFSET, (None, None), tuple(notes)
    )
