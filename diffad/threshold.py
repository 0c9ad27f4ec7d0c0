r"""Thresholds that cut a map into normal and anomalous, and the one number a map is pooled to.

A pixel counts as anomalous if its score is above the threshold, :math:`a > \tau`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.registry import unknown

RATES = (0.01, 0.02, 0.05, 0.1)
"""Pixel false-positive rates that are calibrated unless others are asked for."""


def inside(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the scores inside the mask as one vector (N,).

    Args:
        scores: Anomaly map, any shape.
        mask: Brain mask of the same shape; everything if absent.

    Raises:
        ValueError: If the shapes differ, no pixel is inside, or a score is not finite.
    """
    if mask is not None and mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    values = scores.flatten() if mask is None else scores[mask.bool()]
    if not len(values):
        raise ValueError(
            f"expected a mask with at least one pixel, got an empty one of shape {tuple(scores.shape)}"
        )
    if bad := int((~values.isfinite()).sum()):
        raise ValueError(f"expected finite scores, got {bad} of {len(values)} that are not")
    return values


def fixed(threshold: float) -> float:
    """Return a threshold that was chosen by hand.

    Raises:
        ValueError: If it is not finite.
    """
    if not math.isfinite(threshold):
        raise ValueError(f"expected a finite threshold, got {threshold}")
    return float(threshold)


def otsu(scores: Tensor, mask: Tensor | None = None, bins: int = 256) -> float:
    r"""Threshold that separates a histogram into its two most distant classes.

    .. math:: \tau = \arg\max_k \; \omega_0(k) \, \omega_1(k) \, (\mu_0(k) - \mu_1(k))^2

    Args:
        scores: Anomaly map, any shape.
        mask: Brain mask of the same shape; everything if absent.
        bins: Number of histogram bins, at least 2; the threshold is the centre of one.

    Returns:
        The threshold; the score itself where all are equal.

    Raises:
        ValueError: If there are fewer than two bins, the shapes differ, or no score is inside.

    Reference:
        A threshold selection method from gray-level histograms (Otsu, 1979, eq. 14).
    """
    if bins < 2:
        raise ValueError(f"expected at least 2 bins, got {bins}")
    values = inside(scores, mask).detach().cpu().double().numpy()
    if values.min() == values.max():
        return float(values[0])
    counts, edges = np.histogram(values, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = counts.cumsum()[:-1], counts[::-1].cumsum()[::-1][1:]
    mass = (counts * centres).cumsum()
    distance = mass[:-1] / below - (mass[-1] - mass[:-1]) / above
    return float(centres[np.argmax(below * above * distance**2)])


def healthy_threshold(values: Tensor, fpr: float) -> float:
    r"""Smallest threshold that at most a share ``fpr`` of healthy pixels exceeds.

    .. math:: \tau = \min \{ v : \#\{ a_i > v \} \le fpr \, N \} = a_{(N - \lfloor fpr \, N \rfloor)}

    Args:
        values: Scores :math:`a_i` of healthy pixels inside the brain, (N,).
        fpr: False-positive rate, in [0, 1).

    Raises:
        ValueError: If the rate is out of range or there is no finite score.
    """
    return _order_statistic(inside(values).sort().values, fpr)


def _order_statistic(ascending: Tensor, fpr: float) -> float:
    _check_rate(fpr)
    n = len(ascending)
    allowed = int(fpr * n)
    allowed += (allowed + 1) / n <= fpr  # fpr * n may round down just below a whole number
    allowed -= allowed / n > fpr
    return float(ascending[n - 1 - allowed])


def _check_rate(fpr: float) -> None:
    if not 0 <= fpr < 1:
        raise ValueError(f"expected a false-positive rate in [0, 1), got {fpr}")


@dataclass(frozen=True)
class Calibration:
    """Thresholds learnt from healthy scans; stored with the model.

    Args:
        thresholds: Threshold by pixel false-positive rate.
        scans: Healthy scans they come from.
        pixels: Pixels inside the brain they come from.

    Raises:
        ValueError: If there is no threshold, or a rate or threshold is out of range.
    """

    thresholds: Mapping[float, float]
    scans: int
    pixels: int

    def __post_init__(self) -> None:
        if not self.thresholds:
            raise ValueError("expected at least one threshold, got none")
        for rate, threshold in self.thresholds.items():
            _check_rate(rate)
            fixed(threshold)

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

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; rates become strings."""
        thresholds = {repr(float(rate)): threshold for rate, threshold in self.thresholds.items()}
        return {"thresholds": thresholds, "scans": self.scans, "pixels": self.pixels}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Build a calibration from what ``to_dict`` gave.

        Raises:
            ValueError: If a key is missing or unknown.
        """
        if set(values) != (expected := {"thresholds", "scans", "pixels"}):
            raise ValueError(f"expected a calibration with {sorted(expected)}, got {sorted(values)}")
        thresholds = {float(rate): float(threshold) for rate, threshold in values["thresholds"].items()}
        return cls(thresholds, int(values["scans"]), int(values["pixels"]))


def calibrate(scans: Iterable[tuple[Tensor, Tensor | None]], rates: Iterable[float] = RATES) -> Calibration:
    """Find the thresholds at chosen false-positive rates over all pixels of healthy scans.

    Args:
        scans: Map and brain mask of each scan, of any shape.
        rates: Pixel false-positive rates, in [0, 1).

    Raises:
        ValueError: If there is no scan, one has an empty mask, or a rate is out of range.
    """
    values = [inside(scores, mask).cpu() for scores, mask in scans]
    if not values:
        raise ValueError("expected at least one healthy scan to calibrate on, got none")
    ascending = torch.cat(values).sort().values
    return Calibration(
        {rate: _order_statistic(ascending, rate) for rate in rates}, len(values), len(ascending)
    )


def pool(scores: Tensor, mask: Tensor | None = None, how: str = "mean", k: float = 0.01) -> Tensor:
    r"""Pool each map to one image score, inside the mask.

    .. math:: \text{topk} = \text{mean of the } \lceil k N \rceil \text{ highest of } N \text{ scores}

    Args:
        scores: Anomaly maps, (B, 1, *S).
        mask: Brain masks, (B, 1, *S).
        how: One of mean, max and topk.
        k: Share of the pixels that topk averages, in (0, 1].

    Returns:
        Image scores, (B,).

    Raises:
        UnknownNameError: If there is no such pooling.
        ValueError: If ``k`` is out of range, the shapes differ, or a mask is empty.
    """
    if how not in POOLINGS:
        raise unknown("pooling", how, list(POOLINGS))
    if not 0 < k <= 1:
        raise ValueError(f"expected k in (0, 1], got {k}")
    if mask is not None and mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    masks = [None] * len(scores) if mask is None else mask
    pooled = [POOLINGS[how](inside(item, m), k) for item, m in zip(scores, masks, strict=True)]
    return torch.stack(pooled)


def _highest(values: Tensor, k: float) -> Tensor:
    return values.topk(math.ceil(k * len(values))).values.mean()


POOLINGS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "mean": lambda values, k: values.mean(),
    "max": lambda values, k: values.max(),
    "topk": _highest,
}
