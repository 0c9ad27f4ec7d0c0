"""Every finding of two visits at their midpoint, with its volumes, values and places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array
from diffad.follow_up.changes import FindingChange, Triple
from diffad.follow_up.judgement import judge_finding
from diffad.follow_up.matching import Match, measure_map_change
from diffad.follow_up.noise import RescanNoise
from diffad.follow_up.noise_bins import Finding
from diffad.inference.lesions import Lesion

PAIR_SHARE, LONE_SHARE = 0.8, 0.5
"""Share of a finding of both visits, and of one of a single visit, that both must have looked at: what the
end of a field of view cuts off has not shrunk."""


@dataclass(frozen=True, eq=False)
class VisitView:
    """A visit at the midpoint, as far as changes are about it.

    Args:
        lesions: Its detections by number.
        labels: Their numbers at the midpoint, (I, J, K).
        anomaly: Its map, alike.
        analysed: What was analysed, alike, bool.
        to_visit: World of the midpoint to that of the visit, (4, 4).
    """

    lesions: Mapping[int, Lesion]
    labels: Array
    anomaly: Array
    analysed: Array
    to_visit: Array

    def sum_volumes(self, numbers: Sequence[int]) -> float:
        """Return the volume of some detections, in ml."""
        return round(sum(self.lesions[number].volume_ml for number in numbers), 6)


def list_finding_changes(
    matches: Sequence[Match],
    views: tuple[VisitView, VisitView],
    affine: Array,
    noise: RescanNoise | None,
) -> list[FindingChange]:
    """Say of every finding what became of it, the largest change of volume first.

    Args:
        matches: The findings.
        views: Both visits.
        affine: Voxels of the midpoint to its world, (4, 4).
        noise: What re-scanning does; none where nobody knows.
    """
    rows = [_describe_match(match, views, affine, noise) for match in matches]
    rows.sort(key=lambda row: (-abs(row["change_ml"]), row["centre_mm"]))
    return [FindingChange(number=number, **row) for number, row in enumerate(rows, 1)]


def _describe_match(
    match: Match, views: tuple[VisitView, VisitView], affine: Array, noise: RescanNoise | None
) -> dict[str, Any]:
    numbers = (match.first, match.second)
    pair = tuple(view.sum_volumes(side) for view, side in zip(views, numbers, strict=True))
    region = match.find_region(views[0].labels, views[1].labels)
    finding = Finding((pair[0], pair[1]), measure_map_change(region, views[0].anomaly, views[1].anomaly))
    judgement = judge_finding(finding, noise, _lies_in_view(region, views, numbers))
    centre = (affine @ [*ndimage.center_of_mass(region), 1.0]) if region.any() else np.full(4, np.nan)
    peaks = [round(float(view.anomaly[region].max(initial=0)), 4) for view in views]
    return {
        **vars(judgement),
        "kind": match.kind,
        "first_ml": pair[0],
        "second_ml": pair[1],
        "change_ml": round(pair[1] - pair[0], 6),
        "change_percent": round(100 * (pair[1] / pair[0] - 1), 1) if pair[0] else None,
        "map_change": round(finding.map_change, 4),
        "first_detections": match.first,
        "second_detections": match.second,
        "first_peak": peaks[0],
        "second_peak": peaks[1],
        "centre_mm": _round(centre[:3]),
        "first_centre_mm": _round((views[0].to_visit @ centre)[:3]),
        "second_centre_mm": _round((views[1].to_visit @ centre)[:3]),
        "place": _name_place(views, numbers),
    }


def _lies_in_view(
    region: Array, views: tuple[VisitView, VisitView], numbers: tuple[tuple[int, ...], tuple[int, ...]]
) -> bool:
    """Tell whether both visits were analysed in enough of a region."""
    if not region.any():
        return True
    least = PAIR_SHARE if all(numbers) else LONE_SHARE
    return all(float(view.analysed[region].mean()) >= least for view in views)


def _name_place(views: tuple[VisitView, VisitView], numbers: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    """Return the place of the largest of some detections."""
    lesions = [view.lesions[n] for view, side in zip(views, numbers, strict=True) for n in side]
    return max(lesions, key=lambda lesion: (lesion.volume_ml, lesion.place)).place


def _round(values: Array) -> Triple:
    x, y, z = (round(float(v), 2) for v in values)
    return x, y, z
