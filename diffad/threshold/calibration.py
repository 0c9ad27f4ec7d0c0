"""What a model keeps of healthy scans: thresholds, the rates they reach elsewhere, how rare scores are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffad.threshold.conformal import Survival
from diffad.threshold.cuts import RATES, check_rate, fixed_threshold, order_statistic, values_inside


@dataclass(frozen=True)
class Calibration:
    """What was learnt from healthy scans; stored with the model.

    Args:
        thresholds: Threshold by pixel false-positive rate.
        scans: Healthy scans they come from.
        pixels: Pixels inside the brain they come from.
        achieved: By the same rates, the rate on healthy scans that were left out: thresholds of one half of
            the scans cut the other half, both ways. Empty where there are fewer than two scans.
        survival: How often healthy voxels score as high, for p-values; none in older models.

    Raises:
        ValueError: If there is no threshold, or a rate or threshold is out of range.
    """

    thresholds: Mapping[float, float]
    scans: int
    pixels: int
    achieved: Mapping[float, float] = field(default_factory=dict)
    survival: Survival | None = None

    def __post_init__(self) -> None:
        if not self.thresholds:
            raise ValueError("expected at least one threshold, got none")
        for rate, threshold in self.thresholds.items():
            check_rate(rate)
            fixed_threshold(threshold)

    def threshold(self, fpr: float) -> float:
        """Return the threshold of a calibrated rate.

        Raises:
            ValueError: If this rate was not calibrated.
        """
        for rate, threshold in self.thresholds.items():
            if math.isclose(rate, fpr, rel_tol=1e-9):
                return threshold
        known = ", ".join(f"{rate:g}" for rate in sorted(self.thresholds))
        raise ValueError(f"expected one of the calibrated false-positive rates {known}, got {fpr:g}")

    def p_values(self, scores: Tensor, by: str = "scan") -> Tensor | None:
        """Return conformal p-values, see ``Survival.p_values``; none where the model keeps no table."""
        return None if self.survival is None else self.survival.p_values(scores, by)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; rates become strings."""
        rates = {
            key: {repr(float(rate)): value for rate, value in getattr(self, key).items()}
            for key in ("thresholds", "achieved")
        }
        table = {} if self.survival is None else {"survival": self.survival.to_dict()}
        return {**rates, "scans": self.scans, "pixels": self.pixels, **table}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Build a calibration from what ``to_dict`` gave, now or before there were p-values.

        Raises:
            ValueError: If a key is missing or unknown.
        """
        needed, known = {"thresholds", "scans", "pixels"}, {"achieved", "survival"}
        if not needed <= set(values) or set(values) - needed - known:
            raise ValueError(f"expected a calibration with {sorted(needed)}, got {sorted(values)}")
        thresholds, achieved = (
            {float(rate): float(value) for rate, value in values.get(key, {}).items()}
            for key in ("thresholds", "achieved")
        )
        table = values.get("survival")
        survival = None if table is None else Survival.from_dict(table)
        return cls(thresholds, int(values["scans"]), int(values["pixels"]), achieved, survival)


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
    values = [values_inside(scores, mask).cpu() for scores, mask in scans]
    if not values:
        raise ValueError("expected at least one healthy scan to calibrate on, got none")
    wanted = list(rates)
    ascending = torch.cat(values).sort().values
    thresholds = {rate: order_statistic(ascending, rate) for rate in wanted}
    return Calibration(
        thresholds, len(values), len(ascending), _achieved(values, wanted), Survival.of(values)
    )


def _achieved(values: Sequence[Tensor], rates: Sequence[float]) -> dict[float, float]:
    """Cut each half of the scans at the thresholds of the other half."""
    if len(values) < 2:
        return {}
    halves = [torch.cat(list(values[0::2])), torch.cat(list(values[1::2]))]
    ascending = [half.sort().values for half in halves]
    return {rate: _exceeding(halves, [order_statistic(a, rate) for a in ascending]) for rate in rates}


def _exceeding(halves: Sequence[Tensor], cuts: Sequence[float]) -> float:
    flagged = sum(int((half > cut).sum()) for half, cut in zip(halves, reversed(cuts), strict=True))
    return flagged / sum(map(len, halves))
