"""What a model says of itself: the scans it knows, part of the brain, what its thresholds come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffad.data.slices import NAMES
from diffad.inference.template_box import format_range
from diffad.io.wording import shorten

TEXTS = ("modality", "part", "ages", "calibrated_on")
KEYS = (*TEXTS, "range_mm")
"""What a model may store of itself: parts of sentences, and the slices it knows, in mm of MNI152."""


@dataclass(frozen=True)
class ModelScope:
    """What a model knows, in words.

    Args:
        name: Its name.
        modality: Kind of scans.
        part: Part of the brain.
        ages: Ages of the people.
        calibrated_on: What its thresholds were measured on.
        range_mm: Slices it knows along its axis, first and last, in mm of MNI152; none where it knows all, or
            does not say.
    """

    name: str
    modality: str
    part: str
    ages: str
    calibrated_on: str
    range_mm: tuple[float, float] | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ModelScope:
        """Read what a model stores of itself, and find out the rest from its settings.

        Args:
            config: Settings of the pipeline.
        """
        values = config.get("scope") or {}
        range_mm = values.get("range_mm")
        return cls(
            str((config.get("provenance") or {}).get("name") or "unnamed"),
            str(values.get("modality") or _describe_modality(config)),
            str(values.get("part") or _describe_part(config, range_mm)),
            str(values.get("ages") or "not stated"),
            str(values.get("calibrated_on") or _describe_calibration(config.get("calibration"))),
            None if range_mm is None else (float(range_mm[0]), float(range_mm[1])),
        )

    def __str__(self) -> str:
        ages = "ages not stated" if self.ages == "not stated" else f"ages {self.ages}"
        return f"{self.modality}, {self.part}, {ages}; {self.calibrated_on}"


def check_scope(values: object) -> None:
    """Refuse what is no scope, of a model from a stranger.

    Raises:
        ValueError: With the key.
    """
    if not isinstance(values, Mapping) or set(values) - set(KEYS):
        raise ValueError(f"expected a scope with some of {', '.join(KEYS)}, found {shorten(repr(values))}")
    for key in TEXTS:
        if not isinstance(values.get(key, ""), str):
            raise ValueError(f"expected text as scope.{key}, found {shorten(repr(values[key]))}")
    ends = values.get("range_mm")
    if ends is not None and not _is_range(ends):
        raise ValueError(f"expected two rising numbers as scope.range_mm, found {shorten(repr(ends))}")


def _is_range(ends: Any) -> bool:
    is_pair = isinstance(ends, Sequence) and not isinstance(ends, str) and len(ends) == 2
    if not is_pair or not all(isinstance(v, int | float) and math.isfinite(v) for v in ends):
        return False
    return bool(ends[0] <= ends[1])


def _describe_modality(config: Mapping[str, Any]) -> str:
    if config["space"]["intensity"] == "ct":
        return "CT"
    if names := config.get("sequences"):
        return f"MRI ({', '.join(map(str, names))})"
    words = [known.get("sequence") for known in config.get("domain") or []]
    if words and all(words):
        return f"MRI that looks like {', '.join(map(str, words))}"
    return "MRI of a sequence that it does not state"


def _describe_part(config: Mapping[str, Any], range_mm: Sequence[float] | None) -> str:
    axes = [config["space"]["axis"], *config["space"].get("further_axes", ())]
    if axes == ["volume"]:
        return "whole volumes"
    planes = " and ".join(axes)
    if range_mm is not None and axes[0] in NAMES:
        return f"{planes} slices at {format_range(range_mm, axes[0])}"
    whole = (config.get("calibration") or {}).get("whole") or {}
    return f"{planes} slices of " + (
        "the whole brain" if whole.get("scores") else "a part of the brain that it does not state"
    )


def _describe_calibration(calibration: Mapping[str, Any] | None) -> str:
    if not calibration:
        return "not calibrated: nothing says how much a healthy scan would have flagged"
    sites = [name for name in ((calibration.get("whole") or {}).get("sites") or {}) if name != "none"]
    where = f" of {', '.join(map(str, sites))}" if sites else ""
    return f"calibrated on {calibration['scans']} healthy scans{where}"
