"""Detection lesion by lesion: which lesions are detected, and which detections are false."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.ranking import check_binary, check_same_shape, check_spacing

STRATA = ("small", "medium", "large")
Three = tuple[int, int, int]


@dataclass(frozen=True)
class LesionCounts:
    """Lesions detected and missed by size, and false detections; counts of several scans add up.

    Args:
        found_by: Lesions that are detected: small, medium, large.
        total_by: All lesions, alike.
        false: Detections that touch no lesion.
        detections: All detections.
    """

    found_by: Three = (0, 0, 0)
    total_by: Three = (0, 0, 0)
    false: int = 0
    detections: int = 0

    def __add__(self, other: LesionCounts) -> LesionCounts:
        hits, total = (
            (a[0] + b[0], a[1] + b[1], a[2] + b[2])
            for a, b in ((self.found_by, other.found_by), (self.total_by, other.total_by))
        )
        return LesionCounts(hits, total, self.false + other.false, self.detections + other.detections)

    @property
    def found(self) -> int:
        """Lesions that are detected."""
        return sum(self.found_by)

    @property
    def missed(self) -> int:
        """Lesions that are not."""
        return sum(self.total_by) - self.found

    def recall(self, stratum: str | None = None) -> float:
        """Return the fraction of the lesions, or of those of one size, that was detected; NaN without any.

        Raises:
            ValueError: If there is no such stratum.
        """
        if stratum is None:
            return _fraction(self.found, sum(self.total_by))
        if stratum not in STRATA:
            raise ValueError(f"expected a stratum of {', '.join(STRATA)}, got {stratum!r}")
        index = STRATA.index(stratum)
        return _fraction(self.found_by[index], self.total_by[index])

    def precision(self) -> float:
        """Return the fraction of the detections that touch a lesion; NaN without any."""
        return _fraction(self.detections - self.false, self.detections)

    def f1(self) -> float:
        r"""Return the F1 of lesions and detections; NaN where there is neither.

        .. math:: F_1 = \frac{2 \, found}{2 \, found + missed + false}
        """
        return _fraction(2 * self.found, 2 * self.found + self.missed + self.false)


def lesion_wise(
    pred: ArrayLike,
    truth: ArrayLike,
    inside: ArrayLike | None = None,
    spacing: Sequence[float] = (),
    strata: tuple[float, float] = (71, 570),
    overlap: float = 0.0,
) -> LesionCounts:
    """Count lesions and detections as connected components: 26-connected in 3-D, 8-connected in 2-D.

    Args:
        pred: Detections, (*S), 0 or 1.
        truth: True lesions, (*S), 0 or 1.
        inside: Where to look, (*S); everywhere if absent.
        spacing: Edges of a voxel in mm; the strata are then mm^2 or mm^3, else voxels.
        strata: Largest small and largest medium lesion, both included.
        overlap: A lesion is detected if more than this fraction of its voxels is flagged, in [0, 1). A
            detection is false only if it touches no lesion at all, whatever the fraction.

    Raises:
        ValueError: If shapes differ, a value is neither 0 nor 1, or an option is out of range.

    Reference:
        Diffusion models with implicit guidance for medical anomaly detection (Bercea et al., 2024), sizes.
    """
    if not 0 <= overlap < 1 or not strata[0] <= strata[1]:
        raise ValueError(f"expected overlap in [0, 1) and ascending strata, got {overlap} and {strata}")
    p, y = check_binary("pred", pred), check_binary("truth", truth)
    check_same_shape("pred", p, "truth", y)
    check_spacing(spacing, p.ndim)
    if inside is not None:
        m = check_binary("inside", inside)
        check_same_shape("pred", p, "inside", m)
        p, y = p & m, y & m
    lesions, count = label_components(y)
    sizes = np.bincount(lesions.ravel(), minlength=count + 1)[1:]
    hits = np.bincount(lesions[p], minlength=count + 1)[1:]
    is_hit = hits > overlap * sizes
    stratum = np.searchsorted(np.asarray(strata), sizes * math.prod(spacing), side="left")
    components, detections = label_components(p)
    true = len(np.setdiff1d(np.unique(components[y]), 0))
    strata_hit = _count_strata(stratum[is_hit])
    return LesionCounts(strata_hit, _count_strata(stratum), detections - true, detections)


def label_components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.signedinteger[Any]], int]:
    """Label the connected components of a mask (*S), neighbours by faces, edges and corners."""
    from scipy.ndimage import label

    labels, count = label(mask, np.ones((3,) * mask.ndim))
    return labels, int(count)


def _count_strata(stratum: NDArray[np.int64]) -> Three:
    small, medium, large = np.bincount(stratum, minlength=3)
    return int(small), int(medium), int(large)


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
