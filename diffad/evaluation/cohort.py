"""Predictions of a cohort against lesion masks, where the predictions were made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diffad.evaluation.normative.evaluate import NormativeSet
from diffad.evaluation.predictions import Predictions
from diffad.evaluation.protocols.evaluate import evaluate_images
from diffad.evaluation.protocols.prepare import ImageSet
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.result import Result
from diffad.evaluation.strata import Strata, StrataSet
from diffad.registry import PROTOCOLS

DEFAULT = "stored"
"""The protocol of the tables of scans and of the whole cohort."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """What is said of a cohort.

    Args:
        pooled: Metrics of the whole cohort by name.
        volumes: Metrics of each scan by name.
        missing: Scans that were left out, as they have no lesion mask.
        warnings: What a reader should know.
        protocols: What other protocols say.
        strata: What holds by size, kind and region of the lesions, or none.
    """

    pooled: Row
    volumes: list[Row]
    missing: list[str]
    warnings: list[str]
    protocols: list[Result] = field(default_factory=list)
    strata: Strata | None = None


def evaluate_predictions(
    predictions: Predictions,
    protocols: Sequence[Protocol] = (),
    folds: int = 0,
    normative_set: NormativeSet | None = None,
    strata_set: StrataSet | None = None,
) -> Evaluation:
    """Score a cohort by the protocol "stored" and by others; every file is read once.

    Args:
        predictions: Scans with maps and lesion masks.
        protocols: Other protocols.
        folds: Folds of subjects that choose the thresholds of these.
        normative_set: Measures the reconstructions, too, and has taken in those of training scans; or none.
        strata_set: Measures lesions by size, kind and region, and healthy heads; or none.

    Raises:
        VolumeError: If a file cannot be read, or does not fit the map.
        ValueError: If there is no scan whose lesion was analysed, or slices are needed along an unknown axis.
    """
    image_sets = [ImageSet(protocol) for protocol in (PROTOCOLS.build(DEFAULT), *protocols)]
    for sample in predictions.read(with_images=normative_set is not None):
        for image_set in image_sets:
            image_set.add(sample)
        if normative_set is not None:
            normative_set.add(sample)
        if strata_set is not None:
            strata_set.add(sample)
    if not image_sets[0].images:
        reasons = "; ".join(predictions.warnings)
        raise ValueError(f"expected a scan whose lesion was analysed, found none: {reasons}")
    default = evaluate_images(image_sets[0])
    results = [evaluate_images(image_set, folds=folds) for image_set in image_sets[1:]]
    if normative_set is not None:
        results.append(normative_set.evaluate(image_sets[0].images))
    warnings = [*predictions.warnings, *_describe_classes(default.rows)]
    volumes = [_make_volume_row(row) for row in default.rows]
    strata = None if strata_set is None else strata_set.evaluate()
    return Evaluation(_pool_row(default, volumes), volumes, predictions.missing, warnings, results, strata)


def _describe_classes(rows: Sequence[Row]) -> list[str]:
    """Say which metrics are not defined for want of a class of scans."""
    warnings, classes = [], {row["anomalous"] for row in rows}
    if len(classes) < 2:
        kind = "lesioned" if True in classes else "healthy"
        warnings.append(f"image AUROC and AP need healthy and lesioned scans, and all are {kind}")
    if not any(_has_alarms(row) for row in rows):
        warnings.append("false alarms on healthy scans need a healthy scan, and there is none")
    return warnings


def _make_volume_row(row: Row) -> Row:
    names = ("lesion_voxels", "image_score", "pixel_ap", "pixel_auroc", "oracle_dice", "oracle_threshold")
    volume = {"scan": row["name"]} | {name: row[name] for name in names}
    volume["dice"] = row["dice"] if row["anomalous"] else math.nan
    return volume | {"false_alarm_rate": row["fpr"]}


def _pool_row(result: Result, volumes: Sequence[Row]) -> Row:
    values = {name: metric.value for name, metric in result.figures.items()}
    lesion_scans = int(values["anomalous"])
    healthy = [row for row in result.rows if _has_alarms(row)]
    alarms, voxels = (sum(row[name] for row in healthy) for name in ("flagged", "voxels"))
    dice = [row["dice"] for row in volumes if not math.isnan(row["dice"])]
    names = ("image_auroc", "image_ap", "pixel_ap", "pixel_auroc", "oracle_dice", "oracle_threshold")
    return {
        "scans": len(result.rows),
        "lesioned": lesion_scans,
        **{name: values[name] for name in names},
        "dice": values["dice"] if lesion_scans else math.nan,
        "mean_dice": sum(dice) / len(dice) if dice else math.nan,
        "healthy_voxels_flagged": alarms / voxels if voxels else math.nan,
        "healthy_scans_flagged": values["healthy_scans_flagged"],
    }


def _has_alarms(row: Row) -> bool:
    """Tell whether a row says how many voxels of a healthy scan are flagged."""
    return not row["anomalous"] and not math.isnan(row["flagged"])
