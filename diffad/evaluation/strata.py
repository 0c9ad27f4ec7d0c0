"""Lesions by size, kind and region, and false alarms of healthy heads, in whole volumes."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.data.regions import REGIONS, find_regions, measure_depth
from diffad.evaluation.metrics.lesions import label_components
from diffad.evaluation.metrics.ranking import RankCurve
from diffad.evaluation.samples import Bools, Sample
from diffad.io.text import read_text

SIZES = (("< .1 ml", 0.1), (".1 to 1 ml", 1.0), ("1 to 10 ml", 10.0), ("> 10 ml", math.inf))
"""Strata of lesions by volume, each with its upper end in ml."""

LARGE_ML = 1.0
"""Volume above which a detection is counted by itself, in ml."""

ALL = ("all", "all lesions")


@dataclass
class Stratum:
    """What was seen of the lesions of one stratum.

    Args:
        lesions: Number of lesions.
        hits: Lesions with a flagged voxel.
        scores: Scores of their voxels.
        flagged_voxels: Number of their voxels that are flagged.
        scans: The scans that have such lesions, by number.
    """

    lesions: int = 0
    hits: int = 0
    scores: list[NDArray[Any]] = field(default_factory=list)
    flagged_voxels: int = 0
    scans: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Strata:
    """What is said of a cohort by stratum.

    Args:
        lesions: A row for each size, kind and region, and one for all lesions.
        healthy: What is flagged in heads without a lesion; empty where there is none.
    """

    lesions: list[dict[str, Any]]
    healthy: dict[str, Any]


class StrataSet:
    """Takes in scans one after the other, and says at last what holds of each stratum.

    Average precision, best Dice and Dice of a stratum compare the voxels of its lesions with the healthy
    voxels of the scans that have such lesions; other lesions of these scans count neither way. A lesion is
    detected if a voxel of it is flagged, and a detection that touches no lesion is false.

    Args:
        kinds: Kind of the lesions of each scan, by its name.
    """

    def __init__(self, kinds: Mapping[str, str] | None = None) -> None:
        self._kinds = kinds or {}
        self._strata: dict[tuple[str, str], Stratum] = defaultdict(Stratum)
        self._healthy_scores: list[NDArray[Any]] = []
        self._alarms: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        """Take in one scan (I, J, K).

        Raises:
            ValueError: If it has not three axes.
        """
        if sample.scores.ndim != 3:
            raise ValueError(f"{sample.name}: expected a volume for strata, got {sample.scores.ndim} axes")
        truth, number = sample.truth & sample.counted, len(self._alarms)
        self._healthy_scores.append(sample.scores[sample.counted & ~truth].astype(np.float32))
        self._alarms.append(_count_alarms(sample, truth))
        labels, count = label_components(truth)
        regions = find_regions(sample.brain, measure_depth(sample.brain, sample.edges))
        for lesion in (labels == i for i in range(1, count + 1)):
            self._add_lesion(sample, lesion, regions[lesion], number)

    def _add_lesion(self, sample: Sample, lesion: Bools, regions: NDArray[Any], number: int) -> None:
        scores = sample.scores[lesion].astype(np.float32)
        flagged_voxels = 0 if sample.detected is None else int(sample.detected[lesion].sum())
        ml = len(scores) * math.prod(sample.edges) / 1000
        region = REGIONS[int(np.bincount(regions, minlength=len(REGIONS)).argmax())]
        size = next(name for name, limit in SIZES if ml <= limit)
        keys = [ALL, ("size", size), ("region", region)]
        if kind := self._kinds.get(sample.name):
            keys.append(("kind", kind))
        for stratum in (self._strata[key] for key in keys):
            stratum.lesions += 1
            stratum.hits += flagged_voxels > 0
            stratum.flagged_voxels += flagged_voxels
            stratum.scores.append(scores)
            stratum.scans.add(number)

    def evaluate(self) -> Strata:
        """Say what holds of each stratum; not a number where nothing was flagged by a stored threshold."""
        kinds = sorted({name for by, name in self._strata if by == "kind"})
        keys = [ALL, *(("size", name) for name, _ in SIZES), *(("kind", k) for k in kinds)]
        keys += [("region", name) for name in REGIONS]
        rows = [self._make_row(key) for key in keys if key in self._strata]
        return Strata(rows, self._describe_healthy())

    def _make_row(self, key: tuple[str, str]) -> dict[str, Any]:
        stratum = self._strata[key]
        positive = np.concatenate(stratum.scores)
        negative = np.concatenate([self._healthy_scores[i] for i in sorted(stratum.scans)])
        curve = RankCurve.of(
            np.concatenate([positive, negative]), np.repeat([1, 0], [len(positive), len(negative)])
        )
        alarms = [self._alarms[i] for i in sorted(stratum.scans)]
        flagged_voxels = stratum.flagged_voxels + sum(row["flagged"] for row in alarms)
        return {
            "by": key[0],
            "stratum": key[1],
            "lesions": stratum.lesions,
            "scans": len(stratum.scans),
            "prevalence": len(positive) / (len(positive) + len(negative)),
            "pixel_ap": curve.average_precision(),
            "best_dice": curve.best_dice().dice,
            "dice": 2 * stratum.flagged_voxels / (flagged_voxels + len(positive)),
            "sensitivity": math.nan if math.isnan(flagged_voxels) else stratum.hits / stratum.lesions,
            "false_positives": _average(alarms, "false"),
            "false_positives_1ml": _average(alarms, "false_large"),
        }

    def _describe_healthy(self) -> dict[str, Any]:
        rows = [row for row in self._alarms if not row["anomalous"]]
        if not rows:
            return {}
        shares = [row["flagged"] / row["voxels"] for row in rows]
        return {
            "heads": len(rows),
            "share_flagged": float(np.mean(shares)),
            "highest_share": float(np.max(shares)),
            "detections": _average(rows, "false"),
            "detections_1ml": _average(rows, "false_large"),
        }


def _count_alarms(sample: Sample, truth: Bools) -> dict[str, Any]:
    """Count what is flagged outside the lesions of a scan: voxels, and detections that touch no lesion."""
    healthy = sample.counted & ~truth
    row: dict[str, Any] = {"anomalous": sample.anomalous, "voxels": int(healthy.sum())}
    if sample.detected is None:
        return row | dict.fromkeys(("flagged", "false", "false_large"), math.nan)
    labels, count = label_components(sample.detected & sample.counted)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * math.prod(sample.edges) / 1000
    false = np.setdiff1d(np.arange(1, count + 1), labels[truth])
    large = int((sizes[false] > LARGE_ML).sum())
    flagged_voxels = int((sample.detected & healthy).sum())
    return row | {"flagged": flagged_voxels, "false": len(false), "false_large": large}


def _average(rows: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def read_kinds(masks: Path) -> dict[str, str]:
    """Read the kinds of implanted lesions, by scan, from ``lesions.csv`` in or beside a folder of masks.

    Raises:
        ValueError: If there is such a table, and it cannot be read.
    """
    return {row["scan"]: row["kind"] for row in _read_rows(masks)}


def _read_rows(masks: Path) -> Iterator[dict[str, str]]:
    for path in (masks / "lesions.csv", masks.parent / "lesions.csv"):
        if path.is_file():
            rows = csv.DictReader(io.StringIO(read_text(path, "a CSV", "utf-8-sig"), newline=""))
            if {"scan", "kind"} <= set(rows.fieldnames or ()):
                yield from rows
                return
