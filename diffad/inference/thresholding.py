"""Where finished maps are cut, and what is told about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffad.inference.postprocess import Postprocess
from diffad.threshold import Calibration, otsu


def check_threshold(wish: object) -> None:
    """Refuse a threshold that is no number, "otsu" or none.

    Raises:
        ValueError: With what was asked for.
    """
    number = isinstance(wish, int | float) and not isinstance(wish, bool) and not math.isnan(wish)
    if not (number or wish is None or wish == "otsu"):
        raise ValueError(f"expected threshold a number, 'otsu' or None, got {wish!r}")


def resolve_thresholds(
    wish: float | str | None, calibration: Mapping[str, Any] | None, fpr: float, anomaly: Tensor, seen: Tensor
) -> tuple[list[float], str]:
    """Find the threshold of each item.

    Args:
        wish: A number, "otsu", or none for the calibrated threshold, or Otsu's where there is none.
        calibration: Thresholds from healthy scans, see ``Calibration``.
        fpr: Which of the calibrated false-positive rates.
        anomaly: Maps, (B, 1, *S).
        seen: Part of the brain that was looked at, (B, 1, *S).

    Returns:
        The thresholds, and the rule they come from.

    Raises:
        ValueError: If this rate was not calibrated.
    """
    if isinstance(wish, int | float):
        return [float(wish)] * len(anomaly), "fixed"
    if wish is None and calibration:
        cut = Calibration.from_dict(calibration).threshold(fpr)
        return [cut] * len(anomaly), f"healthy pixel FPR {fpr:g}"
    # item by item, so that a scan is cut alike in any batch
    return [otsu(item, inside) for item, inside in zip(anomaly, seen, strict=True)], "otsu"


def compute_p_values(calibration: Mapping[str, Any] | None, anomaly: Tensor, seen: Tensor) -> Tensor | None:
    """Return p-values of maps (B, 1, *S), 1 outside ``seen``; none without a calibration that keeps them."""
    found = Calibration.from_dict(calibration).p_values(anomaly) if calibration else None
    return None if found is None else found.masked_fill(~seen.bool(), 1)


def binarise_maps(anomaly: Tensor, cuts: Sequence[float], brain: Tensor, post: Mapping[str, Any]) -> Tensor:
    """Cut each map (B, 1, *S) at its threshold; the maps were zeroed outside the eroded mask before."""
    cut_only = Postprocess(erosion=0, median=1, min_size=post["min_size"], filled=post["filled"])
    items = zip(anomaly, cuts, brain, strict=True)
    return torch.cat([cut_only.binarise(item[None], cut, inside[None]) for item, cut, inside in items])


def describe_thresholds(cuts: Sequence[float], rule: str) -> dict[str, Any]:
    """Describe the thresholds: one number, their mean where they differ, and then each of them."""
    info: dict[str, Any] = {"threshold": sum(cuts) / len(cuts), "threshold_rule": rule}
    if len(set(cuts)) == 1:
        return info | {"threshold": cuts[0]}
    return info | {"thresholds": list(cuts)}


def describe_provenance(config: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what made a map: parts, the model's settings but for the long table of p-values, versions."""
    import diffusers

    from diffad._version import __version__

    versions = {"diffad": __version__, "torch": torch.__version__, "diffusers": diffusers.__version__}
    made = {key: parts[key] for key in ("noise", "guidance")}
    made |= {key: config[key] for key in ("space", "postprocess", "calibration")}
    if made["calibration"]:
        made["calibration"] = {k: v for k, v in made["calibration"].items() if k != "survival"}
    asked = {key: dict(parts[key]) for key in ("sampler", "score")}
    return {**asked, "model": dict(config["provenance"]), "config": made, "versions": versions}
