"""A scan from disk, or several sequences of one subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffad.data.volume import Volume, VolumeError, require_same_grid
from diffad.prepare.geometry import VoxelGrid

SMALLEST, LARGEST = 16, 400_000_000
"""Voxels along an axis at least, and in a volume at most."""
HUGE = 60_000_000
"""Voxels above which a volume is called huge."""


def read_sequences(scan: Path | str | Sequence[Path | str] | Volume) -> list[Volume]:
    """Read the sequences of one subject, each on its own grid.

    Args:
        scan: Path, one path for each sequence, or a volume.

    Raises:
        VolumeError: If a file is unusable, 4-D, or has too few or too many voxels.
    """
    if isinstance(scan, Volume):
        return [_checked(scan, scan)]
    paths = [scan] if isinstance(scan, str | Path) else list(scan)
    if not paths:
        raise VolumeError("expected at least one scan, found an empty list")
    found = [_checked(Volume.load(path), None) for path in paths]
    return found


def _checked(volume: Volume, several: Volume | None) -> Volume:
    name, shape = name_of(volume), volume.data.shape[1:]
    if several is None and len(volume.data) > 1:
        raise VolumeError(
            f"{name}: expected a 3-D scan, found a 4-D file of {len(volume.data)} volumes; give one file "
            "for each sequence, or the mean over time"
        )
    if min(shape) < SMALLEST:
        raise VolumeError(f"{name}: expected at least {SMALLEST} voxels along each axis, found {shape}")
    if volume.data[0].size > LARGEST:
        raise VolumeError(f"{name}: expected at most {LARGEST} voxels, found {volume.data[0].size}: {shape}")
    return volume


def name_of(volume: Volume) -> str:
    """Return what errors call a volume."""
    return str(volume.path or "the scan")


def grid_of(volume: Volume) -> VoxelGrid:
    """Return where a volume lies."""
    return VoxelGrid(tuple(int(n) for n in volume.data.shape[1:]), volume.affine)


def same_grid(volumes: Sequence[Volume]) -> bool:
    """Whether all volumes lie on the grid of the first."""
    try:
        for other in volumes[1:]:
            require_same_grid(other, volumes[0])
    except VolumeError:
        return False
    return True


def grid_warnings(volume: Volume) -> list[str]:
    """Say what is unusual about a grid."""
    grid, found = grid_of(volume), []
    if grid.shear > 1e-3:
        found.append(
            f"{name_of(volume)}: its voxel axes are not at right angles (cosine {grid.shear:.3f}, as of a "
            "tilted gantry); it is looked up through its whole affine"
        )
    if volume.data[0].size > HUGE:
        gb = volume.data.nbytes * 6 / 1e9
        found.append(f"{name_of(volume)}: {volume.data[0].size} voxels need about {gb:.1f} GB of memory")
    if max(grid.spacing) > 8 or min(grid.spacing) < 0.1:
        found.append(
            f"{name_of(volume)}: voxels of {grid.spacing.round(3).tolist()} mm are unusual for a brain"
        )
    return found
