"""How much of lesions of which size a model finds at its thresholds, over all kinds, in words and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from diffad.data.lesions import KINDS
from diffad.threshold.sensitivity import Sensitivity

MAIN_RATES = (0.01, 0.001)
"""Rates whose thresholds are told of, as far as they were measured."""
SILENT_SHARE, SILENT_ML = 0.05, 1.0
"""Share of the lesions from some volume on, in ml, below which a detector that finds no more is silent."""
NO_RATES = (
    "How much of which size it finds was not measured: no sensitivity is stored with this model (diffad "
    "calibrate --sensitivity measures it on healthy scans)."
)


@dataclass(frozen=True)
class DetectionRate:
    """What one threshold finds of lesions of one size.

    Args:
        origin: "implanted" or "real".
        low_ml: Lower end of their volumes, in ml.
        high_ml: Upper end; none for no end.
        rate: Share of healthy voxels above the threshold.
        lesions: How many lesions.
        lesion_share: Share of the lesions that are found, see ``Sensitivity``.
        voxel_share: Share of their voxels above the threshold, the mean over kinds by number of lesions.
    """

    origin: str
    low_ml: float
    high_ml: float | None
    rate: float
    lesions: int
    lesion_share: float
    voxel_share: float

    @property
    def size(self) -> str:
        """Its sizes in words."""
        return (
            f"above {self.low_ml:g} ml" if self.high_ml is None else f"{self.low_ml:g} to {self.high_ml:g} ml"
        )


def pool_detection_rates(rows: Sequence[Sensitivity]) -> list[DetectionRate]:
    """Pool what was measured over kinds, implanted lesions and real ones apart, the largest first."""
    groups: dict[tuple[str, float, float], list[Sensitivity]] = {}
    for row in rows:
        origin = "implanted" if row.kind in KINDS else "real"
        groups.setdefault((origin, -row.low_ml, -row.rate), []).append(row)
    return [_pool(origin, group) for (origin, _, _), group in sorted(groups.items())]


def _pool(origin: str, rows: Sequence[Sensitivity]) -> DetectionRate:
    first, count = rows[0], sum(row.lesions for row in rows)
    lesion_share, voxel_share = (
        round(sum(getattr(row, name) * row.lesions for row in rows) / max(1, count), 4)
        for name in ("lesion_share", "voxel_share")
    )
    return DetectionRate(origin, first.low_ml, first.high_ml, first.rate, count, lesion_share, voxel_share)


def choose_rates(rows: Sequence[DetectionRate]) -> list[float]:
    """Return the rates that are told of, highest first: 1 % and .1 %, or all where neither was measured."""
    rates = sorted({row.rate for row in rows}, reverse=True)
    usual_rates = [rate for rate in rates if any(math.isclose(rate, main_rate) for main_rate in MAIN_RATES)]
    return usual_rates or rates


def describe_silence(rows: Sequence[DetectionRate], fpr: float) -> str:
    """Say so if a detector finds next to nothing at the threshold of its masks; empty if it finds some."""
    large = [row for row in rows if row.low_ml >= SILENT_ML and math.isclose(row.rate, fpr)]
    count = sum(row.lesions for row in large)
    share = sum(row.lesion_share * row.lesions for row in large) / max(1, count)
    if not count or share >= SILENT_SHARE:
        return ""
    return (
        f"This detector is silent at its threshold: it finds {share:.0%} of {count} lesions above "
        f"{SILENT_ML:g} ml, so a scan without detections says nothing."
    )


def describe_detection_rates(rows: Sequence[DetectionRate], fpr: float) -> list[str]:
    """Return lines of Markdown for a model card: a table by size, and whether the detector is silent.

    Args:
        rows: What was measured; empty where nothing was.
        fpr: Rate of the threshold of the model's masks.
    """
    if not rows:
        return [NO_RATES]
    rates = choose_rates(rows)
    head = " | ".join(
        f"found at {100 * rate:g} % of healthy voxels (share of their voxels)" for rate in rates
    )
    lines = [f"| lesions | size | number | {head} |", "|---" * (3 + len(rates)) + "|"]
    for origin, low in dict.fromkeys((row.origin, row.low_ml) for row in rows):
        group = {row.rate: row for row in rows if (row.origin, row.low_ml) == (origin, low)}
        first = next(iter(group.values()))
        cells = [format_shares(group.get(rate)) for rate in rates]
        lines.append(f"| {origin} | {first.size} | {first.lesions} | {' | '.join(cells)} |")
    silence = describe_silence(rows, fpr)
    return [*lines, *(["", silence] if silence else [])]


def format_shares(row: DetectionRate | None) -> str:
    """Say which share of lesions is found, and of their voxels; empty where nothing is known."""
    return "" if row is None else f"{row.lesion_share:.0%} ({row.voxel_share:.0%})"


def store_detection_rates(calibration: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return what is stored of a calibrated model with its results, as JSON; empty where nothing is known."""
    rows = [Sensitivity.from_dict(row) for row in (calibration or {}).get("sensitivity", ())]
    return [asdict(row) for row in pool_detection_rates(rows)]
