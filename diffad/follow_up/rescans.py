"""Re-scans of a visit, looked at as the visit was: how much of a change they alone would give."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from diffad.follow_up.alignment import align_visits
from diffad.follow_up.matching import TOLERANCE, match_detections, measure_map_change
from diffad.follow_up.midpoint import bring_visit, make_midpoint
from diffad.follow_up.noise_bins import Finding
from diffad.follow_up.rescan import rescan
from diffad.follow_up.visit import FollowUpVisit
from diffad.io.nifti import stem

BRAIN_END = "_brain"
"""End of the names of the brain masks of re-scans."""


def write_rescans(visit: FollowUpVisit, folder: Path, count: int, seed: int) -> list[Path]:
    """Write simulated re-scans of a visit, with their brain masks; those that are there stay.

    Args:
        visit: The visit.
        folder: Where they go; made if absent.
        count: How many.
        seed: Seed of the first; the others follow.

    Returns:
        Their files.

    Raises:
        OSError: If they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        name = f"rescan-{seed + number}_{stem(visit.path)}"  # whose last word says the sequence
        path, mask = folder / f"{name}.nii.gz", folder / f"{name}{BRAIN_END}.nii.gz"
        if not (path.exists() and mask.exists()):
            volume, brain, _ = rescan(visit.volume, visit.brain, seed + number)
            volume.save(brain, mask, dtype=np.uint8)
            volume.save(volume.data, path)
        paths.append(path)
    return paths


def pair_findings(
    visits: Sequence[FollowUpVisit], seed: int = 0, tolerance_mm: float = TOLERANCE
) -> list[Finding]:
    """Return every finding in every two scans of one person on one day.

    Each two are registered and matched as two visits are.

    Args:
        visits: The scans.
        seed: Seed of the registration.
        tolerance_mm: Tolerance of the matches.
    """
    return [pair for two in combinations(visits, 2) for pair in _pair_two(*two, seed, tolerance_mm)]


def _pair_two(first: FollowUpVisit, second: FollowUpVisit, seed: int, tolerance_mm: float) -> list[Finding]:
    alignment = align_visits(first.volume, first.brain, second.volume, second.brain, seed=seed)
    midpoint = make_midpoint(first, second, alignment.motion)
    visits = (first, second)
    images = [bring_visit(midpoint, visit, index) for index, visit in enumerate(visits)]
    labels, maps = [[image[kind] for image in images] for kind in ("labels", "anomaly")]
    matches = match_detections(labels[0], labels[1], midpoint.grid.spacing.tolist(), tolerance_mm)
    return [
        Finding(
            (sum_volumes(first, match.first), sum_volumes(second, match.second)),
            measure_map_change(match.find_region(labels[0], labels[1]), maps[0], maps[1]),
        )
        for match in matches
    ]


def sum_volumes(visit: FollowUpVisit, numbers: Sequence[int]) -> float:
    """Return the volume of some detections of a visit, in ml."""
    return sum(lesion.volume_ml for lesion in visit.lesions if lesion.number in numbers)
