"""A series of DICOM images as a scan in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from diffad.config.reading import ReadOptions
from diffad.data.volume import Array, Volume
from diffad.data.volume_error import VolumeError
from diffad.dicom.contrast import PD, T1, T1_AGENT, T2, UNKNOWN
from diffad.dicom.convert import convert_series
from diffad.dicom.geometry import make_affine, measure_stack
from diffad.dicom.places import FramePlace
from diffad.dicom.slice_grid import SliceGrid, read_slice_grids
from diffad.io.dicom_files import DicomSource

MAX_SHIFT = 0.1
"""How far, in mm, a corner of the converted volume may lie from where the headers have it."""


def read_series(source: DicomSource, options: ReadOptions = ReadOptions()) -> Volume:  # noqa: B008 (frozen)
    """Read the images of a series as a volume; where they lie is compared with their headers.

    Args:
        source: Which images.
        options: Which orientation is trusted, and how large a scan may be.

    Raises:
        VolumeError: If they cannot be converted, or the volume does not lie where its images do.
        ImportError: If a package of the extra ``dicom`` is missing.
    """
    grids = read_slice_grids(source.files)
    places = [_to_place(grid) for grid in grids]
    stack = measure_stack(places)
    ordered_places = [places[i] for i in stack.order]
    if stack.tilt:
        source = replace(source, files=tuple(grids[i].path for i in stack.order))
    with convert_series(source, ordered_places if stack.tilt else None) as (path, notes):
        try:
            volume = Volume.load(path, options=options)
        except VolumeError as error:
            raise VolumeError(str(error).replace(str(path), source.label)) from error
    volume = _rename(volume, path, Path(source.label) / _name_scan(source))
    corners = _list_corners(make_affine(ordered_places), (*grids[0].shape, len(grids)))
    _check_places(volume, corners, bool(stack.tilt), source.label)
    if stack.tilt:
        tilt = f"the gantry was tilted by {stack.tilt:.1f} degrees"
        notes = (*notes, f"{tilt}; the slices were resampled to a grid at right angles")
    return volume.warn(*source.warnings, *(f"series {source.number}: {note}" for note in notes))


def _name_scan(source: DicomSource) -> str:
    """Return a name for a series that says its contrast as names of scans do."""
    ends = {"": "", UNKNOWN: "", T1: "_T1w", T2: "_T2w", PD: "_PDw", T1_AGENT: "_ce-agent_T1w"}
    return f"series-{source.number:03d}{ends.get(source.contrast, f'_{source.contrast}')}"


def _rename(volume: Volume, path: Path, label: Path) -> Volume:
    """Let a volume be called by its folder, not by the scratch file it was read from."""
    assert volume.origin is not None
    warnings = tuple(warning.replace(str(path), str(label)) for warning in volume.warnings)
    header = volume.origin.header
    for field in ("descrip", "aux_file", "db_name"):
        header[field] = b""
    origin = replace(volume.origin, header=header, path=label)
    return replace(volume, origin=origin, warnings=warnings)


def _check_places(volume: Volume, corners: Array, is_tilted: bool, label: str) -> None:
    """Compare a volume with the corners (4, 8) that the headers of its images give, in mm.

    Raises:
        VolumeError: If a corner lies elsewhere, or of tilted slices outside the volume.
    """
    if is_tilted:
        voxels = (np.linalg.inv(volume.affine) @ corners)[:3]
        beyond = np.maximum(-voxels, voxels - np.array(volume.data.shape[1:])[:, None] + 1)
        shift = float((beyond.T * volume.spacing).max())
    else:
        own_corners = _list_corners(volume.affine, volume.data.shape[1:])
        gaps = np.linalg.norm(corners[:3, :, None] - own_corners[:3, None], axis=0)
        shift = float(gaps.min(axis=1).max())
    if shift > MAX_SHIFT:
        finding = f"a corner {shift:.2f} mm off"
        raise VolumeError(f"{label}: expected a volume where its images lie in the patient, found {finding}")


def _to_place(grid: SliceGrid) -> FramePlace:
    """Return a slice on the axes of DICOM."""
    axes = np.diag([-1.0, -1.0, 1.0]) @ grid.affine[:3]
    sizes = np.linalg.norm(axes[:, :2], axis=0)
    position, row, column = (
        tuple(map(float, v)) for v in (axes[:, 3], axes[:, 0] / sizes[0], axes[:, 1] / sizes[1])
    )
    return FramePlace(position, row, column, (float(sizes[0]), float(sizes[1])))  # type: ignore[arg-type]


def _list_corners(affine: Array, shape: tuple[int, ...]) -> Array:
    """Return the centres of the eight outermost voxels, (4, 8), in mm."""
    points = np.array([[*p, 1] for p in product(*((0, n - 1) for n in shape))], dtype=float)
    corners: Array = affine @ points.T
    return corners
