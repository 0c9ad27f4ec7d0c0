"""What made a map: parts, settings, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from diffad.io.version import __version__
from diffad.method import Method
from diffad.threshold.detection_rates import store_detection_rates


def describe_provenance(config: Mapping[str, Any], method: Method) -> dict[str, Any]:
    """Return what made a map: parts, the model's settings but for the long table of p-values, versions."""
    import diffusers

    versions = {"diffad": __version__, "torch": torch.__version__, "diffusers": diffusers.__version__}
    settings: dict[str, Any] = {"noise": method.noise, "guidance": method.guidance}
    settings |= {key: config[key] for key in ("space", "postprocess", "calibration")}
    if settings["calibration"]:
        left_out = ("survival", "whole", "sensitivity")  # long tables
        settings["calibration"] = {k: v for k, v in settings["calibration"].items() if k not in left_out}
    rates = store_detection_rates(config["calibration"])
    parts = {"sampler": dict(method.sampler or {}), "score": dict(method.score or {})}
    made = {**parts, "model": dict(config["provenance"]), "config": settings, "versions": versions}
    return made | ({"detection_rates": rates} if rates else {})
