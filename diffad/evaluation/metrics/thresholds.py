r"""Thresholds as protocols choose them: by the truth (oracles), by a validation set, or by healthy maps.

Every rule returns the threshold and the pooled Dice there, NaN where no truth plays a part.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.ranking import RankCurve, check_vectors
from diffad.threshold import healthy_threshold
from diffad.threshold.rules import check_rate

GRID: NDArray[np.float64] = np.arange(1000) / 1000
"""Thresholds 0, .001, ..., .999."""


class DiceThreshold(NamedTuple):
    """A threshold and the Dice of what lies above it."""

    threshold: float
    dice: float


class Overlap:
    """Dice of one set of pooled scores at any threshold: two sorts, then look-ups.

    Args:
        scores: Anomaly scores, any shape.
        truth: True classes, same shape.
    """

    def __init__(self, scores: ArrayLike, truth: ArrayLike) -> None:
        a, y = check_vectors(scores, truth)
        self.lesion, self.scores = np.sort(a[y]), np.sort(a)

    def dice(self, thresholds: ArrayLike, ties: str = ">") -> NDArray[np.float64]:
        r"""Return Dice at thresholds (K,); a voxel is flagged if its score is > (or >=) the threshold.

        Raises:
            ValueError: If ``ties`` is neither ">" nor ">=".
        """
        side = _search_side(ties)
        values = np.asarray(thresholds, dtype=self.scores.dtype)
        hits = len(self.lesion) - np.searchsorted(self.lesion, values, side=side)
        detections = len(self.scores) - np.searchsorted(self.scores, values, side=side)
        total = detections + len(self.lesion)
        return np.divide(2.0 * hits, total, out=np.full(len(values), math.nan), where=total > 0)


def search_exact(scores: ArrayLike, truth: ArrayLike) -> DiceThreshold:
    """Take the best threshold of all, score >= threshold: an oracle."""
    dice, threshold = RankCurve.of(scores, truth).best_dice()
    return DiceThreshold(threshold, dice)


def search_order(scores: ArrayLike, truth: ArrayLike, steps: int = 200) -> DiceThreshold:
    """Take the best of about ``steps`` order statistics of the pooled scores, score > threshold: an oracle.

    Ascending scores at the indices 0, s, 2 s, ... with s = N // steps; the highest is left out unless it is
    one of them, so lesions of less than 1 / steps of the pixels are underestimated.

    Raises:
        ValueError: If there are fewer scores than steps, or no step.

    Reference:
        MedIAnomaly (Cai et al., 2025), 200 steps.
    """
    _check_steps(steps)
    overlap = Overlap(scores, truth)
    if len(overlap.scores) < steps:
        raise ValueError(f"expected at least {steps} scores, got {len(overlap.scores)}")
    return _pick_best(overlap, overlap.scores[:: len(overlap.scores) // steps], ">")


def search_grid(
    scores: ArrayLike, truth: ArrayLike, thresholds: ArrayLike = GRID, ties: str = ">"
) -> DiceThreshold:
    """Take the best of given thresholds, score > (or >=) threshold: an oracle; the lowest of equal ones.

    Raises:
        ValueError: If there is no threshold, or ``ties`` is neither ">" nor ">=".

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., 2022): 0,
        .001, ..., .999. THOR (Bercea et al., 2024): 101 from 0 to 1.
    """
    grid = np.asarray(thresholds)
    if not grid.size:
        raise ValueError("expected at least one threshold in the grid, got none")
    return _pick_best(Overlap(scores, truth), grid, ties)


def search_bisection(scores: ArrayLike, truth: ArrayLike, steps: int = 10) -> DiceThreshold:
    """Halve the range from 0 to the highest score towards the better of its quarter points.

    Where all scores are 0 the range is that from 0 to 1. Of two points that are equally good it is the lower
    one that counts, and the lower half that is kept. The best of the points that counted is returned, the
    latest of equal ones; score > threshold. It is the best of all only if Dice has a single peak.

    Raises:
        ValueError: If there is no step.

    Reference:
        Patched diffusion models for unsupervised anomaly detection in brain MRI (Behrendt et al., 2023).
    """
    _check_steps(steps)
    overlap = Overlap(scores, truth)
    if not len(overlap.lesion):
        return _warn_undefined()
    # of empty maps the published range is that from 0 to 1
    low, high, best = 0.0, float(overlap.scores[-1]) or 1.0, DiceThreshold(math.nan, -1.0)
    for _ in range(steps):
        quarters = (0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high)
        lower, upper = (
            DiceThreshold(t, float(d)) for t, d in zip(quarters, overlap.dice(quarters), strict=True)
        )
        better, middle = (lower if lower.dice >= upper.dice else upper), (low + high) / 2
        best = better if better.dice >= best.dice else best
        low, high = (low, middle) if better is lower else (middle, high)
    return best


def search_f1(scores: ArrayLike, truth: ArrayLike) -> DiceThreshold:
    """Take the threshold of the best F1, which is the Dice, score >= threshold: an oracle.

    Reference:
        BMAD (Bao et al., 2024), the adaptive threshold of anomalib.
    """
    return search_exact(scores, truth)


def search_healthy(scores: ArrayLike, fpr: float) -> DiceThreshold:
    """Take the smallest threshold that at most a fraction ``fpr`` of healthy scores exceeds (>).

    Args:
        scores: Scores of healthy voxels, any shape.
        fpr: False-positive rate, in [0, 1).

    Raises:
        ValueError: If the rate is out of range or there is no finite score.
    """
    values = torch.tensor(np.asarray(scores).ravel())
    return DiceThreshold(healthy_threshold(values, fpr), math.nan)


def search_healthy_grid(maps: Sequence[ArrayLike], fpr: float, thresholds: ArrayLike = GRID) -> DiceThreshold:
    """Take the smallest threshold of a grid at which the mean FPR of healthy maps is at most ``fpr``.

    Args:
        maps: Scores of each healthy map; a pixel is flagged if its score is > the threshold.
        fpr: False-positive rate, in [0, 1).
        thresholds: The grid, (K,), ascending.

    Raises:
        ValueError: If there is no map, one is empty or not finite, the rate is out of range, or no threshold
            of the grid is high enough.

    Reference:
        Evaluating normative representation learning (Bercea et al., 2025).
    """
    if not len(maps):
        raise ValueError("expected at least one healthy map, got none")
    check_rate(fpr)
    grid = np.asarray(thresholds)
    rates = np.mean([_rates_above(m, grid) for m in maps], axis=0)
    index = np.flatnonzero(rates <= fpr * (1 + 1e-12))  # a mean of rates may round up past the rate itself
    if not len(index):
        raise ValueError(f"expected a threshold with an FPR of {fpr}, got {rates[-1]:.4f} at {grid[-1]}")
    return DiceThreshold(float(grid[index[0]]), math.nan)


def _rates_above(scores: ArrayLike, thresholds: NDArray[Any]) -> NDArray[np.float64]:
    values, _ = check_vectors(scores, np.zeros(np.shape(scores), bool))
    if not len(values):
        raise ValueError(f"expected healthy maps with at least one pixel, got shape {np.shape(scores)}")
    # Thresholds in the precision of the scores, as where a map is compared with one.
    below = np.searchsorted(np.sort(values), thresholds.astype(values.dtype), side="right")
    return (len(values) - below) / len(values)


def _pick_best(overlap: Overlap, thresholds: NDArray[Any], ties: str) -> DiceThreshold:
    if not len(overlap.lesion):
        return _warn_undefined()
    curve = overlap.dice(thresholds, ties)
    best = int(np.nanargmax(curve))
    return DiceThreshold(float(thresholds[best]), float(curve[best]))


def _warn_undefined() -> DiceThreshold:
    warnings.warn("the threshold is NaN: it needs lesions, got none", RuntimeWarning, stacklevel=4)
    return DiceThreshold(math.nan, math.nan)


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"expected at least 1 step, got {steps}")


def _search_side(ties: str) -> Any:
    if ties not in (">", ">="):
        raise ValueError(f"expected ties '>' or '>=', got {ties!r}")
    return "right" if ties == ">" else "left"
