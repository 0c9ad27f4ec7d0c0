"""What a model keeps of healthy scans: thresholds, the rates they reach on others, how rare scores are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffad.config.choices import EngineName, HoldOut, Precision, require_choice
from diffad.io.wording import shorten
from diffad.threshold.conformal import Survival
from diffad.threshold.rates import write_rates
from diffad.threshold.rules import RATES, check_rate, check_threshold, order_statistic, select_values
from diffad.threshold.sensitivity import Sensitivity
from diffad.threshold.whole_scans import WholeScans

ORIGINS = {"engine": EngineName, "precision": Precision, "held_out": HoldOut}
"""How the maps were made, and what it may have been."""


@dataclass(frozen=True)
class Calibration:
    """Thresholds and p-values from healthy scans, stored with the model.

    Args:
        thresholds: Threshold by pixel false-positive rate.
        scans: Healthy scans they come from.
        pixels: Pixels inside the brain they come from.
        achieved: By the same rates, the rate on healthy scans that were left out: thresholds of one half of
            the scans cut the other half, both ways. Empty where there are fewer than two scans.
        survival: How often healthy voxels score as high, for p-values; none in older models.
        whole: What the scans say as wholes: sizes of detections, scores, sites; none where they were slices.
        sensitivity: What thresholds find of lesions implanted in healthy scans; empty where not measured.
        engine: What ran the network that made the maps, an ``EngineName``; empty in older models.
        precision: Its number format, a ``Precision``, alike.
        held_out: What each scan was not measured by, a ``HoldOut``; empty for the scan itself.

    Raises:
        ValueError: If there is no threshold or scan, a rate or threshold is out of range, thresholds rise, or
            there is no such engine or format.
    """

    thresholds: Mapping[float, float]
    scans: int
    pixels: int
    achieved: Mapping[float, float] = field(default_factory=dict)
    survival: Survival | None = None
    whole: WholeScans | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    engine: str = ""
    precision: str = ""
    held_out: str = ""

    def __post_init__(self) -> None:
        if not self.thresholds:
            raise ValueError("expected at least one threshold, got none")
        for rate, threshold in self.thresholds.items():
            check_rate(rate)
            check_threshold(threshold)
        falling = [self.thresholds[rate] for rate in sorted(self.thresholds)]
        if any(a < b for a, b in itertools.pairwise(falling)):
            raise ValueError(
                f"expected thresholds that fall as their rates rise, got {shorten(self.thresholds)}"
            )
        if not all(0 <= rate <= 1 for pair in self.achieved.items() for rate in pair):
            raise ValueError(f"expected achieved rates in [0, 1], got {shorten(self.achieved)}")
        if self.scans < 1 or self.pixels < 1:
            raise ValueError(f"expected scans and pixels, got {self.scans} and {self.pixels}")
        for key, choices in ORIGINS.items():
            if value := getattr(self, key):
                require_choice(key, value, choices)

    def threshold(self, fpr: float) -> float:
        """Return the threshold of a calibrated rate.

        Raises:
            ValueError: If this rate was not calibrated.
        """
        if (threshold := self.find_threshold(fpr)) is not None:
            return threshold
        rates = ", ".join(f"{rate:g}" for rate in sorted(self.thresholds))
        raise ValueError(f"expected one of the calibrated false-positive rates {rates}, got {fpr:g}")

    def find_threshold(self, fpr: float) -> float | None:
        """Return the threshold of a rate, or none where that was not calibrated."""
        rates = (rate for rate in self.thresholds if math.isclose(rate, fpr, rel_tol=1e-9))
        return next((self.thresholds[rate] for rate in rates), None)

    def p_values(self, scores: Tensor, by: str = "scan") -> Tensor | None:
        """Return conformal p-values, see ``Survival.p_values``; none where the model keeps no table."""
        return None if self.survival is None else self.survival.p_values(scores, by)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; rates become strings."""
        rates = {key: write_rates(getattr(self, key)) for key in ("thresholds", "achieved")}
        table: dict[str, Any] = {} if self.survival is None else {"survival": self.survival.to_dict()}
        table |= {} if self.whole is None else {"whole": self.whole.to_dict()}
        if self.sensitivity:
            table["sensitivity"] = [row.to_dict() for row in self.sensitivity]
        table |= {key: getattr(self, key) for key in ORIGINS if getattr(self, key)}
        return {**rates, "scans": self.scans, "pixels": self.pixels, **table}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Build a calibration from what ``to_dict`` gave, now or before there were p-values.

        Raises:
            ValueError: If a key is missing or unknown.
        """
        required_keys = {"thresholds", "scans", "pixels"}
        optional_keys = {"achieved", "survival", "whole", "sensitivity", *ORIGINS}
        if not required_keys <= set(values) or set(values) - required_keys - optional_keys:
            found = shorten(sorted(map(str, values)))
            raise ValueError(f"expected a calibration with {sorted(required_keys)}, got {found}")
        try:
            thresholds, achieved_rates = (
                {float(rate): float(value) for rate, value in values.get(key, {}).items()}
                for key in ("thresholds", "achieved")
            )
            table = values.get("survival")
            survival = None if table is None else Survival.from_dict(table)
            whole = None if values.get("whole") is None else WholeScans.from_dict(values["whole"])
            counts = int(values["scans"]), int(values["pixels"])
            rows = tuple(Sensitivity.from_dict(row) for row in values.get("sensitivity", ()))
            origins = [values.get(key, "") for key in ORIGINS]
            return cls(thresholds, *counts, achieved_rates, survival, whole, rows, *origins)
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"expected numbers by rates, got others ({shorten(error)})") from error


def calibrate_thresholds(
    scans: Iterable[tuple[Tensor, Tensor | None]], rates: Iterable[float] = RATES
) -> Calibration:
    """Find the thresholds at chosen false-positive rates over all pixels of healthy scans.

    Args:
        scans: Map and brain mask of each scan, of any shape.
        rates: Pixel false-positive rates, in [0, 1).

    Raises:
        ValueError: If there is no scan, one has an empty mask, or a rate is out of range.
    """
    values = [select_values(scores, mask).cpu() for scores, mask in scans]
    if not values:
        raise ValueError("expected at least one healthy scan to calibrate on, got none")
    chosen_rates = list(rates)
    sorted_values = torch.cat(values).sort().values
    thresholds = {rate: order_statistic(sorted_values, rate) for rate in chosen_rates}
    achieved_rates = _measure_rates(values, chosen_rates)
    return Calibration(thresholds, len(values), len(sorted_values), achieved_rates, Survival.of(values))


def _measure_rates(values: Sequence[Tensor], rates: Sequence[float]) -> dict[float, float]:
    """Cut each half of the scans at the thresholds of the other half."""
    if len(values) < 2:
        return {}
    halves = [torch.cat(list(values[0::2])), torch.cat(list(values[1::2]))]
    sorted_halves = [half.sort().values for half in halves]
    thresholds = {rate: [order_statistic(half, rate) for half in sorted_halves] for rate in rates}
    return {rate: _measure_exceedance(halves, pair[::-1]) for rate, pair in thresholds.items()}


def _measure_exceedance(halves: Sequence[Tensor], thresholds: Sequence[float]) -> float:
    count = sum(int((half > cut).sum()) for half, cut in zip(halves, thresholds, strict=True))
    return count / sum(map(len, halves))
