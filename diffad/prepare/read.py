"""Reading a scan, or several sequences of one subject, and checking their grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffad.config.reading import ReadOptions
from diffad.data.volume import Volume, VolumeError, require_same_grid
from diffad.prepare.geometry import VoxelGrid

MIN_SIDE, MAX_VOXELS = 16, 400_000_000
"""Smallest number of voxels along an axis, and largest in a volume."""
HUGE_VOXELS = 60_000_000
"""Number of voxels above which there is a warning."""


def read_sequences(
    scan: Path | str | Sequence[Path | str] | Volume,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> list[Volume]:
    """Read the sequences of one subject, each on the grid it has.

    Args:
        scan: Path, one path for each sequence, or a volume.
        reading: How files are read.

    Raises:
        VolumeError: If a file is unusable, 4-D, or has too few or too many voxels.
    """
    if isinstance(scan, Volume):
        _check_size(scan)
        return [scan]
    paths = [scan] if isinstance(scan, str | Path) else list(scan)
    if not paths:
        raise VolumeError("expected at least one scan, found an empty list")
    return [_read_sequence(path, reading) for path in paths]


def _read_sequence(path: Path | str, reading: ReadOptions) -> Volume:
    volume = Volume.load(path, options=reading)
    if len(volume.data) > 1:
        raise VolumeError(
            f"{volume.name}: expected a 3-D scan, found a 4-D file of {len(volume.data)} volumes; give one "
            "file for each sequence, or the mean over time"
        )
    _check_size(volume)
    return volume


def _check_size(volume: Volume) -> None:
    name, shape, size = volume.name, volume.data.shape[1:], volume.data[0].size
    if min(shape) < MIN_SIDE:
        raise VolumeError(f"{name}: expected at least {MIN_SIDE} voxels along each axis, found {shape}")
    if size > MAX_VOXELS:
        raise VolumeError(f"{name}: expected at most {MAX_VOXELS} voxels, found {size}, of shape {shape}")


def get_grid(volume: Volume) -> VoxelGrid:
    """Return the grid of a volume."""
    return VoxelGrid(tuple(int(n) for n in volume.data.shape[1:]), volume.affine)


def share_grid(volumes: Sequence[Volume]) -> bool:
    """Tell whether all volumes lie on the grid of the first."""
    try:
        for other in volumes[1:]:
            require_same_grid(other, volumes[0])
    except VolumeError:
        return False
    return True


def list_grid_warnings(volume: Volume) -> list[str]:
    """List warnings about an unusual grid."""
    grid, name, warnings = get_grid(volume), volume.name, []
    if grid.shear > 1e-3:
        warnings.append(
            f"{name}: expected voxel axes at right angles, found a cosine of {grid.shear:.3f}, as with a"
            " tilted gantry; the scan is resampled with its full affine"
        )
    if volume.data[0].size > HUGE_VOXELS:
        gb = volume.data.nbytes * 6 / 1e9
        warnings.append(f"{name}: {volume.data[0].size} voxels need about {gb:.1f} GB of memory")
    if max(grid.spacing) > 8 or min(grid.spacing) < 0.1:
        warnings.append(
            f"{name}: expected voxels of 0.1 to 8 mm, found {grid.spacing.round(3).tolist()} mm; check the "
            "spacing in the header"
        )
    return warnings
