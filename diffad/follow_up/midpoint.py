"""The space halfway between two visits, to which both are resampled once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array, VolumeError
from diffad.follow_up.rigid import halve_motion
from diffad.follow_up.visit import FollowUpVisit
from diffad.prepare.geometry import (
    VoxelGrid,
    find_bounding_box,
    make_upright_grid,
    map_voxels,
    resample,
)
from diffad.prepare.read import MAX_VOXELS, get_grid

MARGIN, FINEST = 6.0, 1.0
"""Margin around both brains, and smallest voxel, in mm."""


@dataclass(frozen=True, eq=False)
class Midpoint:
    """The space halfway between two visits.

    Args:
        grid: Its grid: cubic voxels along the axes of its world.
        to_visits: Its world to that of the first and of the second visit, each (4, 4), RAS in mm.
        threads: Threads of the resampling; 0 for all cores.
    """

    grid: VoxelGrid
    to_visits: tuple[Array, Array]
    threads: int = 0

    def bring(self, image: Array, grid: VoxelGrid, visit: int, nearest: bool = False) -> Array:
        """Bring an image (I, J, K) of a visit here, with one interpolation, 0 beyond it.

        Args:
            image: The image.
            grid: Its grid.
            visit: 0 for the first visit, 1 for the second.
            nearest: Whether the nearest voxel is taken, as for labels.
        """
        matrix = map_voxels(self.grid, grid, self.to_visits[visit])
        return resample(image, matrix, self.grid.shape, nearest=nearest, threads=self.threads)

    def bring_labels(self, labels: Array, grid: VoxelGrid, visit: int) -> Array:
        """Bring numbers of detections here; one smaller than a voxel keeps the nearest free voxel."""
        moved_labels: Array = self.bring(labels, grid, visit, nearest=True).round().astype(np.int32)
        back = np.linalg.inv(map_voxels(self.grid, grid, self.to_visits[visit]))
        for number in sorted({*np.unique(labels).tolist()} - {*np.unique(moved_labels).tolist()}):
            middle = ndimage.center_of_mass(labels == number)
            free_voxels = np.argwhere(moved_labels == 0)
            distance = np.linalg.norm(free_voxels - (back @ [*middle, 1.0])[:3], axis=1)
            moved_labels[tuple(free_voxels[distance.argmin()])] = number
        return moved_labels


def make_midpoint(first: FollowUpVisit, second: FollowUpVisit, motion: Array, threads: int = 0) -> Midpoint:
    """Return the space halfway between two visits, with the finest voxels of both, of 1 mm at least.

    Args:
        first: First visit.
        second: Second visit.
        motion: World of the first to that of the second, (4, 4).
        threads: Threads of the resampling; 0 for all cores.

    Raises:
        VolumeError: If the grid were too large.
    """
    half = halve_motion(motion)
    to_visits = (np.linalg.inv(half), half)
    boxes = []
    for visit, world in zip((first, second), to_visits, strict=True):
        boxes.append(find_bounding_box(visit.brain, np.linalg.inv(world) @ visit.volume.affine, MARGIN))
    lower, upper = np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)
    edge = max(FINEST, min(float(v.volume.spacing.min()) for v in (first, second)))
    if np.prod((upper - lower) / edge + 1) > MAX_VOXELS:
        size = (upper - lower).round().tolist()
        raise VolumeError(f"{first.path} and {second.path}: expected brains, found a field of {size} mm")
    return Midpoint(make_upright_grid(lower, upper, edge), to_visits, threads)


def bring_visit(midpoint: Midpoint, visit: FollowUpVisit, index: int) -> dict[str, Array]:
    """Bring scan, brain, analysed part, map and detections of a visit to the midpoint."""
    grid = get_grid(visit.volume)
    images = {"scan": visit.volume.data[0], "anomaly": visit.anomaly}
    masks = {"brain": visit.brain, "analysed": visit.analysed}
    moved_images = {kind: midpoint.bring(image, grid, index) for kind, image in images.items()}
    moved_images |= {kind: midpoint.bring(mask, grid, index) > 0.5 for kind, mask in masks.items()}
    return moved_images | {"labels": midpoint.bring_labels(visit.labels, grid, index)}
