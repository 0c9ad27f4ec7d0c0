"""Measures how well the lesions of the demo are detected."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.detections import label_detections
from diffad.data.volume import Array, Volume
from diffad.demo.case import DemoCase
from diffad.evaluation.metrics import RankCurve, dice, false_alarm_rate
from diffad.inference.output import AnomalyOutput
from diffad.threshold.sensitivity import COVER


def measure(case: DemoCase, sick: AnomalyOutput, healthy: AnomalyOutput) -> dict[str, Any]:
    """Score the maps inside the brain of the analysed slices; a lesion leaves out the other ones.

    Args:
        case: The brain and its lesions.
        sick: Result for the brain with lesions.
        healthy: Result for the brain without.
    """
    anomaly, detections = sick.anomaly_map[0, 0].numpy(), sick.mask[0, 0].numpy()
    analysed_mask, any_lesion = case.analysed, case.labels > 0
    lesions = {}
    for name in case.names:
        lesion = case.lesion(name)
        region = analysed_mask & (lesion | ~any_lesion)
        lesions[name] = _score_lesion(anomaly, detections, lesion, region, case.healthy)
        lesions[name]["found"] = lesions[name]["covered"] >= COVER
    pool_scores = _score_lesion(anomaly, detections, any_lesion, analysed_mask, case.healthy)
    return {
        "lesions": lesions,
        "pooled": pool_scores | {"found": sum(measures["found"] for measures in lesions.values())},
        "elsewhere": _measure_elsewhere(detections, any_lesion, case.healthy),
        "verdict": sick.info["headline"]["verdict"],
        "healthy": {
            "false_alarm_rate": false_alarm_rate(healthy.mask[0, 0].numpy() & analysed_mask, analysed_mask),
            "detections": _label_pieces(healthy.mask[0, 0].numpy())[1],
            "verdict": healthy.info["headline"]["verdict"],
            "flagged": healthy.info["headline"]["flagged"],
            "score": float(healthy.score[0]),
            "score_with_lesions": float(sick.score[0]),
        },
        "threshold": sick.info["threshold"],
        "threshold_rule": sick.info["threshold_rule"],
        "least_ml": float(sick.info.get("least_mm3") or 0) / 1000,
        "slices": list(case.slices),
        "nfe": sick.info["nfe"],
        "seconds": sick.info["seconds"],
    }


def _score_lesion(
    anomaly: Array, detections: Array, lesion: Array, region: Array, volume: Volume
) -> dict[str, Any]:
    curve = RankCurve.of(anomaly[region], lesion[region])
    return {
        "ml": round(_measure_ml(lesion & region, volume), 2),
        "ap": curve.average_precision(),
        "chance_ap": float(lesion[region].mean()),
        "auroc": curve.auroc(),
        "best_dice_oracle": curve.best_dice().dice,
        "dice": dice(detections[region], lesion[region]),
        "covered": float(detections[lesion & region].mean()),
    }


def _measure_elsewhere(detections: Array, lesions: Array, volume: Volume) -> dict[str, Any]:
    """Count the detections that touch no lesion, and say how large they are together."""
    pieces, count = _label_pieces(detections)
    touching = np.setdiff1d(pieces[lesions], [0])
    far = (pieces > 0) & ~np.isin(pieces, touching)
    return {"detections": count - len(touching), "ml": round(_measure_ml(far, volume), 2)}


def _label_pieces(detections: Array) -> tuple[Array, int]:
    """Number the connected pieces of a mask from 1, and count them."""
    pieces = label_detections(detections)
    return pieces, int(pieces.max())


def _measure_ml(mask: Array, volume: Volume) -> float:
    return int(mask.sum()) * volume.voxel_ml
