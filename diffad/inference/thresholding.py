"""Where finished maps are cut: thresholds, detections and p-values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.inference.postprocess import Postprocess, remove_small
from diffad.inference.whole_scans import count_least_voxels, measure_scores
from diffad.threshold import Calibration, otsu

NO_SHARE = (
    "the share of the scan that is flagged is not compared with healthy scans: theirs was measured at a "
    "false-positive rate of {:g} %, and the model keeps no threshold of that rate; calibrate it anew"
)
"""Why a scan has no p-value of one statistic."""


def check_threshold_option(threshold: object) -> None:
    """Refuse a threshold that is no number, "otsu" or none.

    Raises:
        ValueError: With what was asked for.
    """
    if isinstance(threshold, int | float) and not isinstance(threshold, bool):
        valid = not math.isnan(threshold)
    else:
        valid = threshold is None or threshold == "otsu"
    if not valid:
        raise ValueError(f"threshold: expected a number, 'otsu' or none, got {threshold!r}")


@dataclass(frozen=True)
class Thresholds:
    """Where the maps of some items are cut.

    Args:
        values: One for each item.
        rule: Where they come from.
        least_mm3: Volume that detections must exceed, in mm3; 0 for none.
    """

    values: list[float]
    rule: str
    least_mm3: float = 0.0

    def to_info(self) -> dict[str, Any]:
        """Say one number, their mean where they differ, and then each of them."""
        info: dict[str, Any] = {
            "threshold": sum(self.values) / len(self.values),
            "threshold_rule": self.rule,
        }
        info |= {"least_mm3": round(self.least_mm3, 3)} if self.least_mm3 else {}
        if len(set(self.values)) == 1:
            return info | {"threshold": self.values[0]}
        return info | {"thresholds": list(self.values)}


def resolve_thresholds(
    threshold: float | str | None,
    calibration: Mapping[str, Any] | None,
    fpr: float,
    anomaly: Tensor,
    analysed: Tensor,
    clusters: str = "none",
) -> Thresholds:
    """Find the threshold of each item.

    Args:
        threshold: A number, "otsu", or none for the calibrated one, or Otsu's where there is none.
        calibration: Thresholds from healthy scans, see ``Calibration``.
        fpr: Which of the calibrated false-positive rates.
        anomaly: Maps, (B, 1, *S).
        analysed: Part of the brain that was looked at, (B, 1, *S).
        clusters: Which calibrated size detections must exceed, see ``PostprocessConfig``.

    Raises:
        ValueError: If this rate was not calibrated.
    """
    if isinstance(threshold, int | float):
        return Thresholds([float(threshold)] * len(anomaly), "fixed")
    if threshold is None and calibration:
        record = Calibration.from_dict(calibration)
        least_mm3 = record.whole.clusters.limit(clusters, fpr) if record.whole else 0.0
        values = [record.threshold(fpr)] * len(anomaly)
        return Thresholds(values, f"healthy pixel FPR {fpr:g}", least_mm3)
    # item by item, so that a scan is cut alike in any batch
    values = [otsu(item, mask) for item, mask in zip(anomaly, analysed, strict=True)]
    return Thresholds(values, "otsu")


def compute_p_values(
    calibration: Mapping[str, Any] | None, anomaly: Tensor, analysed: Tensor
) -> Tensor | None:
    """Return p-values of maps (B, 1, *S), 1 where nothing was analysed; none without a calibration."""
    p_value = Calibration.from_dict(calibration).p_values(anomaly) if calibration else None
    return None if p_value is None else p_value.masked_fill(~analysed.bool(), 1)


def compare_scan(
    calibration: Mapping[str, Any] | None, anomaly: Tensor, analysed: Tensor, post: Mapping[str, Any]
) -> dict[str, Any]:
    """Return how surprising a scan is by whole healthy scans, see ``WholeScans``, under "healthy_scans".

    The share that is flagged is that above the threshold of healthy scans, whatever rate makes the masks now;
    where a model does not keep that threshold, it is left out, and "notes" say so.

    Args:
        calibration: Thresholds from healthy scans; none where they do not hold.
        anomaly: Map of the whole scan, (1, 1, *S).
        analysed: Part of the brain that was looked at, (1, 1, *S).
        post: Options of a ``PostprocessConfig``.
    """
    record = Calibration.from_dict(calibration) if calibration else None
    if record is None or record.whole is None or len(anomaly) != 1:
        return {}
    fpr = post["fpr"] if record.whole.fpr is None else record.whole.fpr
    threshold = record.find_threshold(fpr)
    scores = measure_scores(anomaly, analysed, threshold, post)[0]
    comparison = record.whole.compare(scores)
    if comparison is None or record.whole.scores is None:
        return {}
    healthy = [float(f"{value:.5g}") for value in record.whole.scores["topk"]]
    notes = {} if threshold is not None else {"notes": [NO_SHARE.format(100 * fpr)]}
    return {"healthy_scans": {**comparison, "healthy": healthy, **notes}}


def describe_floor(calibration: Mapping[str, Any] | None) -> dict[str, Any]:
    """Say below what no voxel-wise p-value of a model can go, under "p_values"; nothing where it has none.

    Args:
        calibration: Thresholds from healthy scans; none where they do not hold.
    """
    survival = Calibration.from_dict(calibration).survival if calibration else None
    if survival is None:
        return {}
    return {"p_values": {"floor": 1 / (survival.scans + 1), "scans": survival.scans}}


def binarise_maps(
    anomaly: Tensor,
    thresholds: Sequence[float],
    brain: Tensor,
    post: Mapping[str, Any],
    spacing: Sequence[float] | None = None,
    limit_mm3: float = 0.0,
) -> Tensor:
    """Cut each map at its threshold, less what is too small.

    Args:
        anomaly: Maps, (B, 1, *S), which were zeroed outside the eroded mask before.
        thresholds: One for each.
        brain: Brain masks, (B, 1, *S).
        post: Options of a ``PostprocessConfig``.
        spacing: Edges of a voxel, in mm; none where nobody says, which counts as 1 mm.
        limit_mm3: Volume that a detection of a volume must exceed on top of that, without holes.
    """
    # one voxel too many would be lost to rounding: 64 mm3 are 8 voxels of 8 mm3
    least = math.ceil(post["min_mm3"] / math.prod(spacing or (1.0,)) - 1e-6)
    min_size = max(post["min_size"], least)
    cut_only = Postprocess(erosion=0, median=1, min_size=min_size, filled=post["filled"])
    items = zip(anomaly, thresholds, brain, strict=True)
    binary = torch.cat([cut_only.binarise(item[None], cut, mask[None]) for item, cut, mask in items])
    return remove_small(binary, count_least_voxels(limit_mm3, spacing))
