r"""Thresholds as protocols choose them: by the truth (oracles), by a validation set, or by healthy maps.

Every rule returns the threshold and the pooled Dice there, NaN where no truth plays a part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.ranking import RankCurve, checked
from diffad.threshold import healthy_threshold

GRID: NDArray[np.float64] = np.arange(1000) / 1000
"""Thresholds 0, .001, ..., .999."""


class Cut(NamedTuple):
    """A threshold and the Dice of what it cuts."""

    threshold: float
    dice: float


class Overlap:
    """Dice of one set of pooled scores at any threshold: two sorts, then look-ups.

    Args:
        scores: Anomaly scores, any shape.
        truth: True classes, same shape.
    """

    def __init__(self, scores: ArrayLike, truth: ArrayLike) -> None:
        a, y = checked(scores, truth)
        self.lesion, self.every = np.sort(a[y]), np.sort(a)

    def dice(self, thresholds: ArrayLike, ties: str = ">") -> NDArray[np.float64]:
        r"""Return Dice at thresholds (K,); a voxel is flagged if its score is > (or >=) the threshold.

        Raises:
            ValueError: If ``ties`` is neither ">" nor ">=".
        """
        side = _side(ties)
        at = np.asarray(thresholds, dtype=self.every.dtype)
        hits = len(self.lesion) - np.searchsorted(self.lesion, at, side=side)
        flagged = len(self.every) - np.searchsorted(self.every, at, side=side)
        total = flagged + len(self.lesion)
        return np.divide(2.0 * hits, total, out=np.full(len(at), math.nan), where=total > 0)


def exact(scores: ArrayLike, truth: ArrayLike) -> Cut:
    """Take the best threshold of all, score >= threshold: an oracle."""
    dice, threshold = RankCurve.of(scores, truth).best_dice()
    return Cut(threshold, dice)


def order(scores: ArrayLike, truth: ArrayLike, steps: int = 200) -> Cut:
    """Take the best of about ``steps`` order statistics of the pooled scores, score > threshold: an oracle.

    Ascending scores at the indices 0, s, 2 s, ... with s = N // steps; the highest is left out unless it is
    one of them, so lesions of less than 1 / steps of the pixels are underestimated.

    Raises:
        ValueError: If there are fewer scores than steps.

    Reference:
        MedIAnomaly (Cai et al., 2025), 200 steps.
    """
    overlap = Overlap(scores, truth)
    if len(overlap.every) < steps:
        raise ValueError(f"expected at least {steps} scores, got {len(overlap.every)}")
    return _best(overlap, overlap.every[:: len(overlap.every) // steps], ">")


def grid(scores: ArrayLike, truth: ArrayLike, thresholds: ArrayLike = GRID, ties: str = ">") -> Cut:
    """Take the best of given thresholds: an oracle.

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., 2022): 0,
        .001, ..., .999. THOR (Bercea et al., 2024): 101 from 0 to 1.
    """
    return _best(Overlap(scores, truth), np.asarray(thresholds), ties)


def bisection(scores: ArrayLike, truth: ArrayLike, steps: int = 10) -> Cut:
    """Halve the range from 0 to the highest score ``steps`` times, towards the better of its quarter points.

    The best point met is returned; score > threshold. It is the best of all only if Dice has a single peak.

    Reference:
        Patched diffusion models for unsupervised anomaly detection in brain MRI (Behrendt et al., 2023).
    """
    overlap = Overlap(scores, truth)
    if not len(overlap.lesion):
        return Cut(math.nan, math.nan)
    low, high, best = 0.0, float(overlap.every[-1]), Cut(math.nan, -1.0)
    for _ in range(steps):
        quarters = (0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high)
        left, right = (Cut(at, float(d)) for at, d in zip(quarters, overlap.dice(quarters), strict=True))
        best = next((cut for cut in (right, left) if cut.dice >= max(best.dice, left.dice)), best)
        middle = (low + high) / 2
        low, high = (low, middle) if left.dice >= right.dice else (middle, high)
    return best


def f1_adaptive(scores: ArrayLike, truth: ArrayLike) -> Cut:
    """Take the threshold of the best F1, which is the Dice, score >= threshold: an oracle.

    Reference:
        BMAD (Bao et al., 2024), the adaptive threshold of anomalib.
    """
    return exact(scores, truth)


def healthy(scores: ArrayLike, fpr: float) -> Cut:
    """Take the smallest threshold that at most a share ``fpr`` of healthy scores exceeds, score > threshold.

    Args:
        scores: Scores of healthy voxels, any shape.
        fpr: False-positive rate, in [0, 1).
    """
    values = torch.from_numpy(np.ascontiguousarray(np.asarray(scores).ravel()))
    return Cut(healthy_threshold(values, fpr), math.nan)


def healthy_grid(maps: Sequence[ArrayLike], fpr: float, thresholds: ArrayLike = GRID) -> Cut:
    """Take the smallest threshold of a grid at which the mean FPR of healthy maps is at most ``fpr``.

    Args:
        maps: Scores of each healthy map; a pixel is flagged if its score is > the threshold.
        fpr: False-positive rate, in [0, 1).
        thresholds: The grid, (K,), ascending.

    Raises:
        ValueError: If there is no map, or no threshold of the grid is high enough.

    Reference:
        Evaluating normative representation learning (Bercea et al., 2025).
    """
    if not len(maps):
        raise ValueError("expected at least one healthy map, got none")
    at = np.asarray(thresholds)
    rates = np.mean([_exceeding(np.sort(np.asarray(m).ravel()), at) for m in maps], axis=0)
    enough = np.flatnonzero(rates <= fpr)
    if not len(enough):
        raise ValueError(f"expected a threshold with an FPR of {fpr}, got {rates[-1]:.4f} at {at[-1]}")
    return Cut(float(at[enough[0]]), math.nan)


def _exceeding(ascending: NDArray[Any], at: NDArray[Any]) -> NDArray[np.float64]:
    return 1 - np.searchsorted(ascending, at, side="right") / len(ascending)


def _best(overlap: Overlap, thresholds: NDArray[Any], ties: str) -> Cut:
    if not len(overlap.lesion):
        return Cut(math.nan, math.nan)
    curve = overlap.dice(thresholds, ties)
    best = int(np.nanargmax(curve))
    return Cut(float(thresholds[best]), float(curve[best]))


def _side(ties: str) -> Any:
    if ties not in (">", ">="):
        raise ValueError(f"expected ties '>' or '>=', got {ties!r}")
    return "right" if ties == ">" else "left"
