"""Everything a comparison of two visits comes to, before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.follow_up.alignment import Alignment
from diffad.follow_up.changes import FindingChange, count_statuses
from diffad.follow_up.findings import VisitView, list_finding_changes
from diffad.follow_up.matching import match_detections
from diffad.follow_up.midpoint import Midpoint, bring_visit, make_midpoint
from diffad.follow_up.noise import RescanNoise
from diffad.follow_up.subtract import IntensityFit, subtract_visits
from diffad.follow_up.visit import FollowUpVisit


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two visits at their midpoint, and what changed between them.

    Args:
        visits: Both visits.
        alignment: How they lie to each other.
        midpoint: The space between them.
        images: Scan, brain, analysed part, map and detections of each at the midpoint, by kind.
        subtraction: Second visit less the first, in intensities of the first, (I, J, K).
        fit: How intensities of the second follow from those of the first.
        changes: What became of each finding.
        noise: What re-scanning does; none where nobody knows.
        warnings: What should be known first, in sentences.
        facts: What else is stored, by name.
    """

    visits: tuple[FollowUpVisit, FollowUpVisit]
    alignment: Alignment
    midpoint: Midpoint
    images: tuple[dict[str, Array], dict[str, Array]]
    subtraction: Array
    fit: IntensityFit
    changes: Sequence[FindingChange]
    noise: RescanNoise | None
    warnings: Sequence[str]
    facts: dict[str, Any]

    @property
    def map_change(self) -> Array:
        """Map of the second visit less that of the first, where both were analysed, (I, J, K)."""
        both = self.images[0]["analysed"] & self.images[1]["analysed"]
        change: Array = np.where(both, self.images[1]["anomaly"] - self.images[0]["anomaly"], 0)
        return change.astype(np.float32)

    @property
    def headline(self) -> str:
        """What came out, in one sentence."""
        if not self.changes:
            return "no detection at either visit"
        parts = [f"{count} {status}" for status, count in count_statuses(self.changes).items()]
        beyond = sum(bool(c.beyond_noise) for c in self.changes)
        known = any(c.beyond_noise is not None for c in self.changes)
        rest = (
            f"; {beyond} of them beyond what re-scanning gives" if known else "; noise of re-scanning unknown"
        )
        return f"{', '.join(parts)}{rest}"

    def mask_of(self, visit: int, status: str, beyond_noise: bool) -> Array:
        """Return detections of a visit (0 or 1) by what became of them, (I, J, K), bool."""
        changes = [c for c in self.changes if (c.status, bool(c.beyond_noise)) == (status, beyond_noise)]
        numbers = [n for c in changes for n in (c.second_detections if visit else c.first_detections)]
        return np.isin(self.images[visit]["labels"], numbers or [-1])


def compare_images(
    visits: tuple[FollowUpVisit, FollowUpVisit],
    alignment: Alignment,
    noise: RescanNoise | None,
    tolerance_mm: float,
    warnings: Sequence[str] = (),
    facts: dict[str, Any] | None = None,
    threads: int = 0,
) -> Comparison:
    """Bring two visits to their midpoint, match their detections and subtract them.

    Args:
        visits: Both visits.
        alignment: How they lie to each other.
        noise: What re-scanning does; none where nobody knows.
        tolerance_mm: How far apart two detections may lie that are one, in mm.
        warnings: What should be known first, in sentences.
        facts: What else is stored, by name.
        threads: Threads of the resampling; 0 for all cores.

    Raises:
        ValueError: If the visits cannot be compared.
    """
    midpoint = make_midpoint(*visits, alignment.motion, threads)
    images = (bring_visit(midpoint, visits[0], 0), bring_visit(midpoint, visits[1], 1))
    labels = [image["labels"] for image in images]
    matches = match_detections(labels[0], labels[1], midpoint.grid.spacing.tolist(), tolerance_mm)
    views = (_make_view(visits[0], images[0], midpoint, 0), _make_view(visits[1], images[1], midpoint, 1))
    changes = list_finding_changes(matches, views, midpoint.grid.affine, noise)
    brain, detections = images[0]["brain"] & images[1]["brain"], (labels[0] > 0) | (labels[1] > 0)
    try:
        subtraction, fit = subtract_visits(images[0]["scan"], images[1]["scan"], brain, detections)
    except ValueError as error:
        raise ValueError(f"{visits[0].path} and {visits[1].path}: {error}") from error
    return Comparison(
        visits, alignment, midpoint, images, subtraction, fit, changes, noise, warnings, facts or {}
    )


def _make_view(visit: FollowUpVisit, images: dict[str, Array], midpoint: Midpoint, index: int) -> VisitView:
    lesions = {lesion.number: lesion for lesion in visit.lesions}
    analysed = images["analysed"]
    return VisitView(lesions, images["labels"], images["anomaly"], analysed, midpoint.to_visits[index])
