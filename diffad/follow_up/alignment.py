"""How two visits of one person lie to each other: a rigid motion, and how well it fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diffad.data.volume import Array, Volume, VolumeError
from diffad.follow_up.agreement import measure_fit
from diffad.follow_up.rigid import average_motions, measure_motion_distance, measure_turn
from diffad.prepare.geometry import VoxelGrid, centre_of_mass, find_bounding_box
from diffad.prepare.read import get_grid
from diffad.prepare.register import RegistrationImage, align

WORKING_SPACING, MARGIN = 2.0, 20.0
"""Voxel size of the registered images, and width of their surroundings, in mm."""
ROUNDS, DOUBT = 2, 0.5
"""Most rounds of registration, and disagreement in mm above which there is another one."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The rigid motion from the first visit to the second, and how well it fits.

    Args:
        motion: World of the first visit to that of the second, (4, 4), RAS in mm.
        turn_degrees: Angle of its rotation.
        shift_mm: How far it moves the middle of the brain.
        disagreement_mm: Largest distance in the brain between the registrations there and back.
        dice: Overlap of the two brains.
        agreement: How far the edges in both brains run alike, see ``measure_agreement``; in [0, 1].
    """

    motion: Array
    turn_degrees: float
    shift_mm: float
    disagreement_mm: float
    dice: float
    agreement: float

    @classmethod
    def identity(cls) -> Alignment:
        """Return the alignment of a scan with itself."""
        return cls(np.eye(4), 0.0, 0.0, 0.0, 1.0, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return figures and matrix as plain values."""
        values = {k: round(v, 4) for k, v in asdict(self).items() if k != "motion"}
        return {**values, "motion": self.motion.round(8).tolist()}


def align_visits(
    first: Volume, first_brain: Array, second: Volume, second_brain: Array, *, seed: int = 0, threads: int = 0
) -> Alignment:
    """Register the brains of two visits rigidly, there and back, and take the mean of both.

    Registration is not its own inverse; the mean is, so that the order of the visits makes no difference,
    and how far both differ says how sure it is.

    Args:
        first: First visit, whose first sequence counts.
        first_brain: Its brain, (I, J, K), bool.
        second: Second visit, alike.
        second_brain: Its brain, alike.
        seed: Seed of the sampled voxels.
        threads: Threads of the resampling; 0 for all cores.

    Raises:
        VolumeError: If they cannot be registered; both files are named.
    """
    views = [_make_view(first, first_brain, threads), _make_view(second, second_brain, threads)]
    centres = [centre_of_mass(first_brain, first.affine), centre_of_mass(second_brain, second.affine)]
    start = np.eye(4)
    start[:3, 3] = centres[1] - centres[0]
    points = (_list_points(first_brain, first.affine), _list_points(second_brain, second.affine))
    try:
        motion, disagreement_mm = _register_twice(views, start, seed, points)
    except ValueError as error:
        names = f"{first.name} and {second.name}"
        raise VolumeError(f"{names}: expected two visits of one person, found that {error}") from error
    return Alignment(
        motion,
        measure_turn(motion),
        float(np.linalg.norm(motion[:3, :3] @ centres[0] + motion[:3, 3] - centres[0])),
        disagreement_mm,
        *measure_fit(first, first_brain, second, second_brain, motion, threads),
    )


def _register_twice(
    views: list[RegistrationImage], start: Array, seed: int, points: tuple[Array, Array]
) -> tuple[Array, float]:
    """Return the mean of registrations there and back, and how far they differ; doubtful ones are redone."""
    motion, disagreement_mm = start, np.inf
    for _ in range(ROUNDS):
        onward_motion = align(views[0], views[1], motion, "rigid", seed).matrix
        backward_motion = np.linalg.inv(
            align(views[1], views[0], np.linalg.inv(motion), "rigid", seed).matrix
        )
        motion, disagreement_mm = (
            average_motions(onward_motion, backward_motion),
            _measure_disagreement(onward_motion, backward_motion, points),
        )
        if disagreement_mm <= DOUBT:
            break
    return motion, disagreement_mm


def _list_points(brain: Array, affine: Array) -> Array:
    return np.argwhere(brain)[::997] @ affine[:3, :3].T + affine[:3, 3]


def _measure_disagreement(onward: Array, backward: Array, points: tuple[Array, Array]) -> float:
    """Return how far two motions differ at most, in the worlds of both visits, in mm."""
    return max(
        measure_motion_distance(onward, backward, points[0]),
        measure_motion_distance(np.linalg.inv(onward), np.linalg.inv(backward), points[1]),
    )


def _make_view(volume: Volume, brain: Array, threads: int) -> RegistrationImage:
    grid: VoxelGrid = get_grid(volume)
    image = np.where(brain, volume.data[0], 0)
    corners = find_bounding_box(brain, grid.affine, MARGIN)
    return RegistrationImage.sample(image, grid, corners, WORKING_SPACING, threads)
