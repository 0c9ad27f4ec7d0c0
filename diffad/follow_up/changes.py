"""The table of changes: one row for each finding of two visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffad.follow_up.judgement import STATUSES

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class FindingChange:
    """One finding and what became of it.

    Args:
        number: Number from 1, the largest change of volume first.
        status: One of ``STATUSES``.
        kind: "one", "split", "merged" or "regrouped", see ``Match``.
        beyond_noise: Whether the change is above what 95 % of re-scans stay below: of the volume, or, of what
            is new or gone, of the map; none if unknown.
        first_ml: Volume at the first visit, in ml; 0 where it was not detected.
        second_ml: Volume at the second visit, alike.
        change_ml: Difference, in ml.
        change_percent: The same as a share of the first, in percent; none for what is new.
        map_change: Mean of the second visit's map in the finding, less that of the first.
        noise_percent: By how much the volume of such a finding grows by re-scanning alone, in percent, which
            95 % stay below.
        noise_lost: Share of findings of that size that are in one of two re-scans only.
        noise_map_change: Change of the map that 95 % of such findings stay below.
        first_detections: Numbers of its detections at the first visit.
        second_detections: Numbers of its detections at the second visit.
        first_peak: Highest value of the first visit's map there.
        second_peak: Highest value of the second visit's map there.
        centre_mm: Centre at the midpoint, (x, y, z), in mm.
        first_centre_mm: The same place in the world of the first visit.
        second_centre_mm: The same place in the world of the second visit.
        place: Where it lies, in words.
    """

    number: int
    status: str
    kind: str
    beyond_noise: bool | None
    first_ml: float
    second_ml: float
    change_ml: float
    change_percent: float | None
    map_change: float
    noise_percent: float | None
    noise_lost: float | None
    noise_map_change: float | None
    first_detections: tuple[int, ...]
    second_detections: tuple[int, ...]
    first_peak: float
    second_peak: float
    centre_mm: Triple
    first_centre_mm: Triple
    second_centre_mm: Triple
    place: str


def count_statuses(changes: Sequence[FindingChange]) -> dict[str, int]:
    """Return how many findings have each status, of those that occur."""
    counts = {status: sum(change.status == status for change in changes) for status in STATUSES}
    return {status: count for status, count in counts.items() if count}
