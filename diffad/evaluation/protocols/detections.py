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
from diffad.evaluation.protocols.thresholds import select_pixel_images
from diffad.evaluation.result import Metric, Metrics


def detection_metrics(rows: Sequence[ScoreRow], protocol: Protocol, bootstrap: Bootstrap) -> Metrics:
    """Say how good the detections are; NaN throughout without a threshold."""
    cut_rows = [row for row in rows if row.counts is not None]
    images = {id(image) for image in select_pixel_images([row.image for row in cut_rows], protocol)}
    pixel_rows = [row for row in cut_rows if id(row.image) in images]
    metrics = _overlap_metrics(pixel_rows, bootstrap)
    metrics["mean_dice"] = _mean_dice(pixel_rows, protocol, bootstrap)
    metrics |= _lesion_metrics(pixel_rows, bootstrap)
    subjects = [row.image.subject for row in pixel_rows]
    for name in ("hd95", "surface_dice"):
        metrics[name] = bootstrap.mean(subjects, [row.row.get(name, math.nan) for row in pixel_rows])
    thresholds = sorted({t for row in rows if not math.isnan(t := row.row["threshold"])})
    metrics["threshold"] = Metric(float(np.mean(thresholds)) if thresholds else math.nan)
    return metrics | _false_alarms(cut_rows, bootstrap)


def _overlap_metrics(rows: Sequence[ScoreRow], bootstrap: Bootstrap) -> Metrics:
    subjects = [row.image.subject for row in rows]
    counts = [[c.tp, c.fp, c.fn, c.tn] for row in rows if (c := row.counts)]
    table = np.array(counts, np.int64).reshape(-1, 4)
    rules: dict[str, Callable[[Counts], float]] = {
        "dice": Counts.dice,
        "precision": Counts.precision,
        "recall": Counts.recall,
        "fpr": Counts.fpr,
    }

    def statistic(rule: Callable[[Counts], float]) -> Callable[[NDArray[np.int64]], float]:
        return lambda index: rule(Counts(*(int(v) for v in table[index].sum(0))))

    return {name: bootstrap.of(subjects, statistic(rule)) for name, rule in rules.items()}


def _mean_dice(rows: Sequence[ScoreRow], protocol: Protocol, bootstrap: Bootstrap) -> Metric:
    groups: dict[tuple[str, ...], Counts] = {}
    for row in rows:
        image = row.image
        key = (image.subject,) if protocol.dice_aggregate == "subject" else (image.subject, image.volume)
        for i, counts in enumerate(row.slice_counts):
            group = (*key, image.name, str(i)) if protocol.dice_aggregate == "image" else key
            groups[group] = groups.get(group, Counts()) + counts
    empty = math.nan if protocol.empty is None else protocol.empty
    terms = {key: c for key, c in groups.items() if c.tp + c.fn or protocol.dice_of == "all"}
    return bootstrap.mean([key[0] for key in terms], [c.dice(empty) for c in terms.values()])


def _lesion_metrics(rows: Sequence[ScoreRow], bootstrap: Bootstrap) -> Metrics:
    pairs = [(row.image.subject, row.lesions) for row in rows if row.lesions is not None]
    subjects = [subject for subject, _ in pairs]
    counts = [[lesions.found, lesions.missed, lesions.false, lesions.detections] for _, lesions in pairs]
    table = np.array(counts, np.int64).reshape(-1, 4)

    def statistic(name: str) -> Callable[[NDArray[np.int64]], float]:
        def metric(index: NDArray[np.int64]) -> float:
            hits, misses, false, detections = (int(v) for v in table[index].sum(0))
            total = LesionCounts((hits, 0, 0), (hits + misses, 0, 0), false, detections)
            return float(getattr(total, name)())

        return metric

    return {
        f"lesion_{name}": bootstrap.of(subjects, statistic(name)) for name in ("recall", "precision", "f1")
    }


def _false_alarms(rows: Sequence[ScoreRow], bootstrap: Bootstrap) -> Metrics:
    healthy = [row for row in rows if not row.image.anomalous]
    subjects = [row.image.subject for row in healthy]
    alarms = np.array([row.row["flagged"] for row in healthy], dtype=np.float64)
    sizes = np.array([len(row.image.scores) for row in healthy], dtype=np.float64)
    return {
        "healthy_voxels_flagged": bootstrap.mean(subjects, alarms / sizes),
        "healthy_scans_flagged": bootstrap.mean(subjects, alarms > 0),
    }
