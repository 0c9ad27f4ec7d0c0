"""Overlap at one threshold: four counts, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from diffad.evaluation.metrics.ranking import check_binary, check_same_shape


@dataclass(frozen=True)
class Counts:
    """How many voxels are flagged rightly and wrongly; counts of several scans add up.

    Args:
        tp: Lesion voxels that are flagged.
        fp: Healthy voxels that are flagged.
        fn: Lesion voxels that are not.
        tn: Healthy voxels that are not.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, pred: ArrayLike, truth: ArrayLike, inside: ArrayLike | None = None) -> Counts:
        """Count detections against truth.

        Args:
            pred: Detections, any shape, 0 or 1.
            truth: True lesions, same shape.
            inside: Where to count, same shape; everywhere if absent.

        Raises:
            ValueError: If the shapes differ or a value is neither 0 nor 1.
        """
        p, y = check_binary("pred", pred), check_binary("truth", truth)
        check_same_shape("pred", p, "truth", y)
        if inside is not None:
            m = check_binary("inside", inside)
            check_same_shape("pred", p, "inside", m)
            p, y = p[m], y[m]
        tp, positives, lesion = (int(np.count_nonzero(v)) for v in (p & y, p, y))
        return cls(tp, positives - tp, lesion - tp, p.size - positives - lesion + tp)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    def dice(self, empty: float = math.nan) -> float:
        r"""Return the Dice overlap, ``empty`` where there is neither lesion nor detection.

        .. math:: Dice = \frac{2 TP}{2 TP + FP + FN}
        """
        return _fraction(2 * self.tp, self.fp + self.fn, empty)

    def precision(self) -> float:
        """Return the fraction of the flagged voxels that is lesion, TP / (TP + FP); NaN with none flagged."""
        return _fraction(self.tp, self.fp)

    def recall(self) -> float:
        """Return the fraction of the lesion that is flagged, TP / (TP + FN); NaN without a lesion."""
        return _fraction(self.tp, self.fn)

    def fpr(self) -> float:
        """Return the fraction of the healthy voxels that is flagged, FP / (FP + TN); NaN without any."""
        return _fraction(self.fp, self.tn)


def _fraction(part: int, rest: int, empty: float = math.nan) -> float:
    return part / (part + rest) if part + rest else empty
