r"""Exact ranking and overlap metrics; the thresholds are the distinct scores, and ties are one step.

A pixel is called positive at threshold :math:`\tau` if its score :math:`a \ge \tau`. Recall only moves, and
Dice only peaks, where the score of a true lesion pixel is the threshold. So it is enough to sort each class
once and to count the negatives at the distinct scores of the positives.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class BestDice(NamedTuple):
    """The highest Dice over all thresholds and the threshold it is reached at, score >= threshold."""

    dice: float
    threshold: float


@dataclass(frozen=True)
class RankCurve:
    """Counts at the distinct scores of the positives, highest first.

    Args:
        thresholds: Distinct scores of the positives, (K,), descending.
        positives: Positives with exactly this score, (K,).
        above: Negatives with a higher score, (K,).
        ties: Negatives with the same score, (K,).
        negatives: Number of negatives.
    """

    thresholds: NDArray[Any]
    positives: NDArray[np.int64]
    above: NDArray[np.int64]
    ties: NDArray[np.int64]
    negatives: int

    @classmethod
    def of(cls, scores: ArrayLike, truth: ArrayLike) -> RankCurve:
        """Count scores against truth (0 or 1); the one sort that all ranking metrics share.

        Args:
            scores: Anomaly scores, any shape.
            truth: True classes, same shape.

        Raises:
            ValueError: If the shapes differ, a score is not finite, or truth has other values than 0 and 1.
        """
        a, y = check_vectors(scores, truth)
        thresholds, positives = np.unique(a[y], return_counts=True)
        healthy = np.sort(a[~y])
        upper = np.searchsorted(healthy, thresholds, side="right")
        ties = upper - np.searchsorted(healthy, thresholds, side="left")
        above = len(healthy) - upper
        return cls(thresholds[::-1], positives[::-1], above[::-1], ties[::-1], len(healthy))

    def auroc(self) -> float:
        r"""Area under the ROC curve, the chance that a positive outranks a negative.

        .. math:: P(a^+ > a^-) + \tfrac{1}{2} P(a^+ = a^-)

        Reference:
            The meaning and use of the area under a ROC curve (Hanley and McNeil, 1982).
        """
        if self._has_one_class("AUROC"):
            return math.nan
        losses = self.positives @ (2 * self.above + self.ties)
        return 1 - float(losses) / (2 * float(self.positives.sum()) * self.negatives)

    def average_precision(self) -> float:
        r"""Average precision, a sum of steps and not of trapezoids.

        .. math:: AP = \sum_k (R_k - R_{k-1}) \, P_k
        """
        if self._has_one_class("average precision"):
            return math.nan
        hits = self.positives.cumsum()
        precision = hits / (hits + self.above + self.ties)
        return float(self.positives @ precision / hits[-1])

    def best_dice(self) -> BestDice:
        r"""Highest Dice over all thresholds: an oracle, since it looks at the truth.

        .. math:: \lceil Dice \rceil = \max_\tau \frac{2 TP}{2 TP + FP + FN}

        Of equally good thresholds the highest is given.
        """
        if self._has_one_class("best Dice"):
            return BestDice(math.nan, math.nan)
        hits = self.positives.cumsum()
        curve = 2 * hits / (hits + self.above + self.ties + hits[-1])
        best = int(np.argmax(curve))
        return BestDice(float(curve[best]), float(self.thresholds[best]))

    def roc(self, points: int = 512) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return false-positive and true-positive rates at up to so many thresholds, both ascending."""
        rates = np.append(0, self.above + self.ties) / max(self.negatives, 1)
        return self._thin_out(points, np.append(rates, 1.0), np.append(np.append(0.0, self._recall()), 1.0))

    def precision_recall(self, points: int = 512) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return recall, ascending, and precision at up to so many thresholds."""
        hits = self.positives.cumsum()
        return self._thin_out(points, self._recall(), hits / (hits + self.above + self.ties))

    def dice_curve(self, points: int = 512) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return up to so many thresholds, descending, and the Dice at each, score >= threshold."""
        hits = self.positives.cumsum()
        total = hits + self.above + self.ties + hits[-1:].sum()
        return self._thin_out(points, self.thresholds.astype(np.float64), 2 * hits / total)

    def _recall(self) -> NDArray[np.float64]:
        hits: NDArray[np.float64] = self.positives.cumsum() / max(int(self.positives.sum()), 1)
        return hits

    @staticmethod
    def _thin_out(
        points: int, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        index = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).round().astype(int))
        return x[index], y[index]

    def _has_one_class(self, metric: str) -> bool:
        single = self.negatives == 0 or not len(self.positives)
        if single:
            kind = "negatives" if self.negatives else "positives"
            warnings.warn(
                f"{metric} is NaN: it needs both classes, got {kind} only", RuntimeWarning, stacklevel=3
            )
        return single


def auroc(scores: ArrayLike, truth: ArrayLike) -> float:
    """Area under the ROC curve; see `RankCurve.auroc`, and use the curve itself for more than one metric."""
    return RankCurve.of(scores, truth).auroc()


def average_precision(scores: ArrayLike, truth: ArrayLike) -> float:
    """Step-wise average precision; see `RankCurve.average_precision`."""
    return RankCurve.of(scores, truth).average_precision()


def best_dice(scores: ArrayLike, truth: ArrayLike) -> BestDice:
    """Highest Dice and its threshold; see `RankCurve.best_dice`."""
    return RankCurve.of(scores, truth).best_dice()


def dice(pred: ArrayLike, truth: ArrayLike, empty: float = math.nan) -> float:
    r"""Overlap of detection and truth.

    .. math:: Dice = \frac{2 |P \cap T|}{|P| + |T|}

    Args:
        pred: Detections, any shape.
        truth: True lesions, same shape.
        empty: Value where both are empty.

    Raises:
        ValueError: If the shapes differ or a value is neither 0 nor 1.
    """
    p, t = check_binary("pred", pred), check_binary("truth", truth)
    check_same_shape("pred", p, "truth", t)
    total = np.count_nonzero(p) + np.count_nonzero(t)
    return 2 * np.count_nonzero(p & t) / total if total else empty


def false_alarm_rate(pred: ArrayLike, mask: ArrayLike | None = None) -> float:
    r"""Fraction of the pixels of a healthy brain that is flagged.

    .. math:: FAR = \frac{|P \cap M|}{|M|}

    Args:
        pred: Detections in a healthy scan, any shape.
        mask: Brain mask, same shape; everything if absent.

    Raises:
        ValueError: If the shapes differ, a value is neither 0 nor 1, or the mask is empty.
    """
    p = check_binary("pred", pred)
    m = np.ones_like(p) if mask is None else check_binary("mask", mask)
    check_same_shape("pred", p, "mask", m)
    if not m.any():
        raise ValueError(f"expected a mask with at least one pixel, got an empty one of shape {m.shape}")
    return np.count_nonzero(p & m) / np.count_nonzero(m)


def check_vectors(scores: ArrayLike, truth: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return scores and truth as vectors (N,), which must fit together."""
    a, y = np.asarray(scores), check_binary("truth", truth)
    check_same_shape("scores", a, "truth", y)
    if a.dtype not in (np.float32, np.float64):
        a = a.astype(np.float64)
    if bad := a.size - np.count_nonzero(np.isfinite(a)):
        raise ValueError(f"expected finite scores, got {bad} of {a.size} that are not")
    return a.ravel(), y.ravel()


def check_binary(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    """Return values of 0 and 1 as booleans, or raise a ValueError that says what ``name`` holds."""
    array = np.asarray(values)
    if array.dtype == bool:
        return array
    binary: NDArray[np.bool_] = array == 1
    if not (binary | (array == 0)).all():
        raise ValueError(
            f"expected {name} of 0 and 1, got other values such as {array[~binary & (array != 0)][0]}"
        )
    return binary


def check_same_shape(name: str, a: NDArray[Any], other: str, b: NDArray[Any]) -> None:
    """Raise a ValueError with both shapes if they differ."""
    if a.shape != b.shape:
        raise ValueError(f"expected {other} of shape {a.shape} like {name}, got {b.shape}")


def check_spacing(spacing: Sequence[float], axes: int) -> None:
    """Raise a ValueError unless there is one edge above 0 for each axis, or none at all."""
    if len(spacing) not in (0, axes) or not all(edge > 0 for edge in spacing):
        raise ValueError(f"expected {axes} edges of a voxel above 0, got {tuple(spacing)}")
