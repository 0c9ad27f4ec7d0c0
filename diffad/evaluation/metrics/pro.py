r"""Overlap by region: every lesion counts the same, however small.

.. math:: PRO(\tau) = \frac{1}{R} \sum_r \frac{\#\{i \in r : a_i \ge \tau\}}{|r|}, \quad
    AUPRO(L) = \frac{1}{L} \int_0^L PRO \; dFPR

A voxel of region r adds :math:`1 / (R |r|)` to PRO wherever its score is reached, so one sort of weighted
voxels gives the whole curve.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.histogram import RankHistogram
from diffad.evaluation.metrics.lesions import label_components
from diffad.evaluation.metrics.ranking import check_binary, check_same_shape, check_vectors


@dataclass(frozen=True)
class ProCurve:
    """The corners of the curve, from the highest score down; between them it is straight.

    PRO moves only where the score of a lesion voxel is the threshold: two points for each such score say all.

    Args:
        fpr: Fraction of the healthy voxels that is flagged, (K,), ascending.
        pro: Mean flagged fraction of the regions, (K,), ascending.
        regions: Number of regions.
    """

    fpr: NDArray[np.float64]
    pro: NDArray[np.float64]
    regions: int

    @classmethod
    def of(
        cls, maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], inside: Sequence[ArrayLike] | None = None
    ) -> ProCurve:
        """Find regions (8-connected in 2-D, 26-connected in 3-D) and sort once.

        Args:
            maps: Anomaly maps, each of any shape (*S).
            masks: True lesions, each of the shape of its map; an empty one is a healthy image.
            inside: Where to count, alike; everywhere if absent.

        Raises:
            ValueError: If shapes differ, a score is not finite, or a mask has other values than 0 and 1.
        """
        scores = _SortedScores.of(maps, masks, inside)
        return cls(*scores.corners(), scores.regions)

    def area(self, limit: float = 0.3) -> float:
        """Return the area up to a false-positive rate, over the limit; NaN without regions or healthy voxels.

        Args:
            limit: Highest false-positive rate, in (0, 1]; the curve is linear between its points.

        Raises:
            ValueError: If the limit is out of range.
        """
        if not 0 < limit <= 1:
            raise ValueError(f"expected a limit in (0, 1], got {limit}")
        if not self.regions or not len(self.fpr):
            warnings.warn("AUPRO is NaN: it needs a lesion and healthy voxels", RuntimeWarning, stacklevel=2)
            return math.nan
        below = self.fpr < limit
        x = np.append(self.fpr[below], limit)
        y = np.append(self.pro[below], np.interp(limit, self.fpr, self.pro))
        return float(np.trapezoid(y, x) / limit)


class ProHistogram:
    """The same in bounded memory, in the bins of a ``RankHistogram``; merges across processes.

    Args:
        bins: Most bins; a power of two.
    """

    def __init__(self, bins: int = 2**18) -> None:
        self._counts, self._weights = RankHistogram(bins), RankHistogram(bins, np.float64)
        self.regions = 0

    def add(self, scores: ArrayLike, mask: ArrayLike, inside: ArrayLike | None = None) -> Self:
        """Count one map (*S) with its mask (*S)."""
        regions = None if inside is None else [inside]
        for a, y, lesion_weights, count in _iterate_voxels([scores], [mask], regions):
            weights = np.zeros(a.shape)
            weights[y] = lesion_weights
            self._counts.add(a, y)
            self._weights.add(a, y, weights)
            self.regions += count
        return self

    def merge(self, other: ProHistogram) -> Self:
        """Take in what another histogram counted."""
        self._counts.merge(other._counts)
        self._weights.merge(other._weights)
        self.regions += other.regions
        return self

    def curve(self) -> ProCurve:
        """Return the curve; scores of one bin are one step."""
        healthy, overlap = self._counts.healthy[::-1].cumsum(), self._weights.lesion[::-1].cumsum()
        if not self.regions or not healthy[-1:].any():
            return ProCurve(np.zeros(0), np.zeros(0), self.regions)
        fpr, pro = healthy / healthy[-1], overlap / self.regions
        return ProCurve(np.append(0.0, fpr), np.append(0.0, pro), self.regions)


def aupro(
    maps: Sequence[ArrayLike],
    masks: Sequence[ArrayLike],
    limit: float = 0.3,
    inside: Sequence[ArrayLike] | None = None,
) -> float:
    """Return the area under the overlap of regions up to a false-positive rate; see ``ProCurve``.

    Reference:
        The MVTec anomaly detection dataset (Bergmann et al., 2021), section 5.2.
    """
    return ProCurve.of(maps, masks, inside).area(limit)


def coarse_aupro(
    maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], limit: float = 0.3, steps: int = 200
) -> float:
    """Return the area as published code takes it: equally spaced thresholds, divided by the reached FPR.

    Thresholds rise from the lowest score in ``steps`` steps, score > threshold; points with an FPR below the
    limit are kept, and their FPR is scaled to reach 1.

    Reference:
        Multiresolution knowledge distillation for anomaly detection (Salehi et al., 2021), as released.
    """
    scores = _SortedScores.of(maps, masks, None)
    low, high = (f([np.min(m) if f is min else np.max(m) for m in maps]) for f in (min, max))
    thresholds = low + (high - low) / steps * np.arange(steps)
    fpr, pro = scores.rates(thresholds, "right")
    x, y = fpr[fpr < limit][::-1], pro[fpr < limit][::-1]
    return float(np.trapezoid(y, x / x.max())) if len(x) and x.max() else math.nan


@dataclass(frozen=True)
class _SortedScores:
    """Sorted scores of lesion voxels with what each and all above add to PRO, and of healthy voxels."""

    lesion: NDArray[Any]
    above: NDArray[np.float64]
    healthy: NDArray[Any]
    regions: int

    @classmethod
    def of(
        cls, maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], inside: Sequence[ArrayLike] | None
    ) -> _SortedScores:
        parts = list(_iterate_voxels(maps, masks, inside))
        lesion, weights = (
            np.concatenate(v) for v in ([a[y] for a, y, *_ in parts], [w for *_, w, _ in parts])
        )
        regions, order = sum(count for *_, count in parts), np.argsort(lesion)
        above = np.append(weights[order][::-1].cumsum()[::-1], 0.0) / max(regions, 1)
        return cls(lesion[order], above, np.sort(np.concatenate([a[~y] for a, y, *_ in parts])), regions)

    def rates(self, thresholds: NDArray[Any], side: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """FPR and PRO of scores >= thresholds for side "left", > for "right"."""
        below = np.searchsorted(self.healthy, thresholds, side=side)
        overlap = self.above[np.searchsorted(self.lesion, thresholds, side=side)]
        return (len(self.healthy) - below) / max(len(self.healthy), 1), overlap

    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if not self.regions or not len(self.healthy):
            return np.zeros(0), np.zeros(0)
        thresholds = np.unique(self.lesion)[::-1]
        pairs = zip(self.rates(thresholds, "right"), self.rates(thresholds, "left"), strict=True)
        fpr, pro = (np.stack(pair, 1).ravel() for pair in pairs)
        return np.concatenate([[0.0], fpr, [1.0]]), np.concatenate([[0.0], pro, pro[-1:]])


def _iterate_voxels(
    maps: Sequence[ArrayLike], masks: Sequence[ArrayLike], inside: Sequence[ArrayLike] | None
) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64], int]]:
    """Give scores, truth and 1 / |region| of each lesion voxel of every map, and its number of regions."""
    for i, (scores, mask) in enumerate(zip(maps, masks, strict=True)):
        y = check_binary("mask", mask)
        m = np.ones(y.shape, bool) if inside is None else check_binary("inside", inside[i])
        check_same_shape("mask", y, "inside", m)
        labels, count = label_components(y & m)
        a, _ = check_vectors(scores, y)
        inner = m.ravel()
        region = labels.ravel()[inner]
        sizes = np.bincount(region, minlength=count + 1)
        lesion = region > 0
        yield a[inner], lesion, 1.0 / sizes[region[lesion]], count
