"""How good the detections of a set are at its thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.metrics.lesions import LesionCounts
from diffad.evaluation.metrics.overlap import Counts
from diffad.evaluation.protocols.intervals import Bootstrap
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.rows import ScoreRow
from diffad.evaluation.protocols.thresholds import pixel_units
from diffad.evaluation.result import Metric

Figures = dict[str, Metric]


def detection_metrics(scored: Sequence[ScoreRow], protocol: Protocol, sure: Bootstrap) -> Figures:
    """Say how good the detections are; NaN throughout without a threshold."""
    cut = [one for one in scored if one.counts is not None]
    chosen = {id(unit) for unit in pixel_units([one.unit for one in cut], protocol)}
    kept = [one for one in cut if id(one.unit) in chosen]
    found = _overlaps(kept, sure) | {"mean_dice": _mean_dice(kept, protocol, sure)}
    found |= _lesions(kept, sure)
    subjects = [one.unit.subject for one in kept]
    for name in ("hd95", "surface_dice"):
        found[name] = sure.mean(subjects, [one.row.get(name, math.nan) for one in kept])
    known = sorted({t for one in scored if not math.isnan(t := one.row["threshold"])})
    found["threshold"] = Metric(float(np.mean(known)) if known else math.nan)
    return found | _alarms(cut, sure)


def _overlaps(kept: Sequence[ScoreRow], sure: Bootstrap) -> Figures:
    subjects = [one.unit.subject for one in kept]
    table = np.array([[c.tp, c.fp, c.fn, c.tn] for one in kept if (c := one.counts)], np.int64).reshape(-1, 4)
    rules: dict[str, Callable[[Counts], float]] = {
        "dice": Counts.dice,
        "precision": Counts.precision,
        "recall": Counts.recall,
        "fpr": Counts.fpr,
    }

    def statistic(rule: Callable[[Counts], float]) -> Callable[[NDArray[np.int64]], float]:
        return lambda rows: rule(Counts(*(int(v) for v in table[rows].sum(0))))

    return {name: sure.of(subjects, statistic(rule)) for name, rule in rules.items()}


def _mean_dice(kept: Sequence[ScoreRow], protocol: Protocol, sure: Bootstrap) -> Metric:
    groups: dict[tuple[str, ...], Counts] = {}
    for one in kept:
        unit = one.unit
        key = (unit.subject,) if protocol.dice_aggregate == "subject" else (unit.subject, unit.volume)
        for i, part in enumerate(one.parts):
            image = (*key, unit.name, str(i)) if protocol.dice_aggregate == "image" else key
            groups[image] = groups.get(image, Counts()) + part
    empty = math.nan if protocol.empty is None else protocol.empty
    sick = {key: c for key, c in groups.items() if c.tp + c.fn or protocol.dice_of == "all"}
    return sure.mean([key[0] for key in sick], [c.dice(empty) for c in sick.values()])


def _lesions(kept: Sequence[ScoreRow], sure: Bootstrap) -> Figures:
    counted = [(one.unit.subject, one.lesions) for one in kept if one.lesions is not None]
    subjects = [subject for subject, _ in counted]
    rows = [[lesions.found, lesions.missed, lesions.false, lesions.detections] for _, lesions in counted]
    table = np.array(rows, np.int64).reshape(-1, 4)

    def statistic(name: str) -> Callable[[NDArray[np.int64]], float]:
        def figure(chosen: NDArray[np.int64]) -> float:
            found, missed, false, detections = (int(v) for v in table[chosen].sum(0))
            total = LesionCounts((found, 0, 0), (found + missed, 0, 0), false, detections)
            return float(getattr(total, name)())

        return figure

    return {f"lesion_{name}": sure.of(subjects, statistic(name)) for name in ("recall", "precision", "f1")}


def _alarms(cut: Sequence[ScoreRow], sure: Bootstrap) -> Figures:
    healthy = [one for one in cut if not one.unit.anomalous]
    subjects = [one.unit.subject for one in healthy]
    flagged = np.array([one.row["flagged"] for one in healthy], dtype=np.float64)
    sizes = np.array([len(one.unit.scores) for one in healthy], dtype=np.float64)
    return {
        "healthy_voxels_flagged": sure.mean(subjects, flagged / sizes),
        "healthy_scans_flagged": sure.mean(subjects, flagged > 0),
    }
