"""What became of each finding between two visits, and whether re-scanning alone would give that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array
from diffad.follow_up.matching import Match, measure_map_change
from diffad.follow_up.noise import Finding, RescanNoise, size_pair
from diffad.inference.lesions import Lesion

Triple = tuple[float, float, float]
STATUSES = ("new", "gone", "grown", "shrunk", "stable", "not judged", "not analysed")
"""What becomes of a finding: the last two are findings of both visits without a known noise, and findings of
one visit where the other was not analysed."""


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


@dataclass(frozen=True)
class Judgement:
    """What is said of a pair of volumes.

    Args:
        status: One of ``STATUSES``.
        beyond_noise: Whether re-scanning hardly gives it; none if unknown.
        noise_percent: Growth that 95 % of re-scans stay below, in percent; none if unknown.
        noise_lost: Share of findings that re-scanning loses; none if unknown.
        noise_map_change: Change of the map that 95 % of them stay below; none if unknown.
    """

    status: str
    beyond_noise: bool | None = None
    noise_percent: float | None = None
    noise_lost: float | None = None
    noise_map_change: float | None = None


def judge_finding(finding: Finding, noise: RescanNoise | None, is_seen: bool = True) -> Judgement:
    r"""Say what became of a finding.

    One of both visits has grown or shrunk only if :math:`|\log(v_2 / v_1)|` is above what 95 % of re-scans of
    findings of that size stay below. One of a single visit is beyond noise only if the change of the map in
    it is above that of 95 % of the findings that one of two re-scans has and the other has not.

    Args:
        finding: Volumes :math:`v_1, v_2` at both visits, and how the map changed.
        noise: What re-scanning does; none where nobody knows.
        is_seen: Whether a visit without it was analysed there.
    """
    first_ml, second_ml = finding.pair
    if finding.is_lone and not is_seen:
        return Judgement("not analysed")
    if first_ml == second_ml:
        return Judgement("stable", False)
    status = ("gone" if first_ml else "new") if finding.is_lone else "not judged"
    if noise is None:
        return Judgement(status)
    size_bin = noise.find_bin(size_pair(finding.pair))
    lost_share = round(size_bin.lost_share, 4) if size_bin.findings else None
    figures = (round(100 * math.expm1(size_bin.log_limit), 1), lost_share, noise.lone_limit)
    if finding.is_lone:
        limit = noise.lone_limit
        return Judgement(status, None if limit is None else abs(finding.map_change) > limit, *figures)
    log_ratio = math.log(second_ml / first_ml)
    is_beyond = abs(log_ratio) > size_bin.log_limit
    status = ("grown" if log_ratio > 0 else "shrunk") if is_beyond else "stable"
    return Judgement(status, is_beyond, *figures)


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
    judgement = judge_finding(finding, noise, _is_seen(region, views, numbers))
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


def _is_seen(
    region: Array, views: tuple[VisitView, VisitView], numbers: tuple[tuple[int, ...], tuple[int, ...]]
) -> bool:
    """Tell whether visits that have no detection in a region were analysed in half of it at least."""
    blind = [view for view, side in zip(views, numbers, strict=True) if not side]
    return all(float(view.analysed[region].mean()) >= 0.5 for view in blind) if region.any() else True


def _name_place(views: tuple[VisitView, VisitView], numbers: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    """Return the place of the largest of some detections."""
    lesions = [view.lesions[n] for view, side in zip(views, numbers, strict=True) for n in side]
    return max(lesions, key=lambda lesion: (lesion.volume_ml, lesion.place)).place


def _round(values: Array) -> Triple:
    x, y, z = (round(float(v), 2) for v in values)
    return x, y, z


def count_statuses(changes: Sequence[FindingChange]) -> dict[str, int]:
    """Return how many findings have each status, of those that occur."""
    counts = {status: sum(change.status == status for change in changes) for status in STATUSES}
    return {status: count for status, count in counts.items() if count}
