"""What a result says of itself on one screen."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from diffad.io.wording import format_facts

ITEMS = 5
"""Items of a batch whose numbers are shown."""


def format_output(out: Any, title: str) -> str:
    """Return a short table of an ``AnomalyOutput``: sizes and numbers, and no voxels.

    Args:
        out: The result; anything may be missing in its info.
        title: First words.
    """
    facts = [
        ("maps", _describe_grid(out)),
        ("analysed", _describe_share(out)),
        ("image score", _join([f"{float(score):.4g}" for score in out.score])),
        ("threshold", _describe_threshold(out.info)),
        ("detected", _describe_detections(out)),
        ("scan", _describe_scan(out.info)),
        ("result", (out.info.get("headline") or {}).get("verdict", "")),
        ("made by", _describe_origin(out.info)),
        ("warnings", _describe_warnings(out.info.get("warnings") or ())),
    ]
    return format_facts(title, [(name, text) for name, text in facts if text])


def _join(words: list[str]) -> str:
    rest = f" and {len(words) - ITEMS} more" if len(words) > ITEMS else ""
    return ", ".join(words[:ITEMS]) + rest


def _describe_grid(out: Any) -> str:
    items, (_, channels, *shape) = len(out.anomaly_map), out.image.shape
    size = " x ".join(map(str, shape))
    sequences = f" of {channels} sequences" if channels > 1 else ""
    if out.volume is None:
        return f"{items} x {size} pixels{sequences}"
    edges = " x ".join(f"{edge:.3g}" for edge in out.volume.spacing)
    return f"{size} voxels of {edges} mm{sequences}"


def _describe_share(out: Any) -> str:
    brain, count = int(out.brain.sum()), out.info.get("slices")
    share = int((out.analysed & out.brain).sum()) / max(brain, 1)
    return f"{100 * share:.3g} % of the brain" + (
        "" if count is None else f", {count} slice{'s' * (count != 1)}"
    )


def _describe_threshold(info: dict[str, Any]) -> str:
    value = info.get("threshold")
    return f"{value:.4g} ({info.get('threshold_rule', 'fixed')})" if isinstance(value, float | int) else ""


def _describe_detections(out: Any) -> str:
    counts = _count_items(out.mask)
    if out.volume is None:
        return _join([f"{count:,}" for count in counts]) + " pixels"
    return f"{sum(counts) * out.volume.voxel_ml:.4g} ml ({sum(counts):,} voxels)"


def _count_items(mask: Tensor) -> list[int]:
    return [int(item.sum()) for item in mask]


def _describe_scan(info: dict[str, Any]) -> str:
    p_value = (info.get("healthy_scans") or {}).get("p_value")
    domain = (info.get("domain") or {}).get("status", "unknown")
    words = [] if domain == "unknown" else [f"{domain} what the model knows"]
    if isinstance(p_value, float) and math.isfinite(p_value):
        words.append(f"p = {p_value:.2g} among healthy scans")
    return "; ".join(words)


def _describe_origin(info: dict[str, Any]) -> str:
    model = (info.get("model") or {}).get("name") or "a model without a name"
    sampler = (info.get("sampler") or {}).get("name")
    words = [model, sampler and f"sampler {sampler}", "nfe" in info and f"{info['nfe']} evaluations a slice"]
    words += ["seed" in info and f"seed {info['seed']}", "seconds" in info and f"{info['seconds']:.3g} s"]
    return ", ".join(word for word in words if word)


def _describe_warnings(warnings: Any) -> str:
    rest = f" (and {len(warnings) - 1} more in info['warnings'])" if len(warnings) > 1 else ""
    return f"{warnings[0]}{rest}" if warnings else ""
