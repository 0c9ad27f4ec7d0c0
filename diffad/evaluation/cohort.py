"""Predictions of a cohort against lesion masks, where the predictions looked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.metrics import RankCurve, dice, false_alarm_rate
from diffad.evaluation.pairs import Case, Collection
from diffad.evaluation.result import Result
from diffad.evaluation.samples import Bools


@dataclass(frozen=True)
class Evaluation:
    """Figures of the whole cohort by name, a row of figures for each scan, and what protocols say."""

    pooled: dict[str, Any]
    volumes: list[dict[str, Any]]
    missing: list[str]
    warnings: list[str]
    protocols: list[Result] = field(default_factory=list)


def score_collection(found: Collection) -> Evaluation:
    """Score all cases, voxels pooled and scan by scan; what is not defined is NaN."""
    volumes = [_volume(case) for case in found.cases]
    return Evaluation(_pooled(found, volumes), volumes, found.missing, found.warnings)


def _volume(case: Case) -> dict[str, Any]:
    row: dict[str, Any] = {
        "scan": case.name,
        "lesion_voxels": int(case.truth.sum()),
        "image_score": case.image_score,
    }
    row |= _ranking(case.scores, case.truth)
    flagged = case.detected
    row["dice"] = dice(flagged, case.truth) if flagged is not None and case.lesioned else math.nan
    healthy = ~case.truth
    usable = flagged is not None and healthy.any()
    row["false_alarm_rate"] = false_alarm_rate(flagged, healthy) if usable else math.nan  # type: ignore[arg-type]
    return row


def _ranking(scores: NDArray[Any], truth: Bools) -> dict[str, float]:
    """Metrics over all thresholds; the best Dice is an oracle, as its threshold comes from the truth."""
    if truth.all() or not truth.any():
        return dict.fromkeys(("pixel_ap", "pixel_auroc", "oracle_dice", "oracle_threshold"), math.nan)
    curve = RankCurve.of(scores, truth)
    best = curve.best_dice()
    return {
        "pixel_ap": curve.average_precision(),
        "pixel_auroc": curve.auroc(),
        "oracle_dice": best.dice,
        "oracle_threshold": best.threshold,
    }


def _pooled(found: Collection, volumes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    cases = found.cases
    labels = np.array([c.lesioned for c in cases])
    image = _ranking(np.array([c.image_score for c in cases]), labels)
    if math.isnan(image["pixel_ap"]):
        kind = "lesioned" if labels.all() else "healthy"
        found.warnings.append(f"image AUROC and AP need healthy and lesioned scans, and all are {kind}")
    known = [c for c in cases if c.detected is not None]
    healthy = [c for c in known if not c.lesioned]
    if not healthy:
        found.warnings.append("false alarms on healthy scans need a healthy scan, and there is none")
    pixel = _ranking(np.concatenate([c.scores for c in cases]), np.concatenate([c.truth for c in cases]))
    return {
        "scans": len(cases),
        "lesioned": int(labels.sum()),
        "image_auroc": image["pixel_auroc"],
        "image_ap": image["pixel_ap"],
        **pixel,
        "dice": _pooled_dice(known) if labels.any() and known else math.nan,
        "mean_dice": _mean([v["dice"] for v in volumes]),
        "healthy_voxels_flagged": _flagged(healthy),
        "healthy_scans_flagged": _mean([float(c.detected.any()) for c in healthy if c.detected is not None]),
    }


def _pooled_dice(cases: Sequence[Case]) -> float:
    detected = np.concatenate([c.detected for c in cases if c.detected is not None])
    return dice(detected, np.concatenate([c.truth for c in cases]))


def _flagged(healthy: Sequence[Case]) -> float:
    if not healthy:
        return math.nan
    return false_alarm_rate(np.concatenate([c.detected for c in healthy if c.detected is not None]))


def _mean(values: Sequence[float]) -> float:
    kept = [v for v in values if not math.isnan(v)]
    return sum(kept) / len(kept) if kept else math.nan
