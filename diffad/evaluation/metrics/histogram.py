r"""Ranking metrics in bounded memory: counts of scores in bins that fit whatever scores come.

A score in single precision is read as a whole number that keeps its order, and numbers that differ only in
their last ``shift`` bits share a bin. The shift is the smallest with which the scores so far fit; as
it grows, neighbours merge in pairs. So the bins follow from the scores alone, not from their order, and
histograms of several processes merge to what one would have counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.ranking import RankCurve, check_vectors

BINS = 2**22
"""At most 64 MB of counts; the default."""
SIGN = np.uint32(1 << 31)


@dataclass(frozen=True)
class Lattice:
    """Bins of keys: ``count`` of them from ``first`` on, each 2 ** ``shift`` keys wide."""

    shift: int
    first: int
    count: int

    @classmethod
    def span(cls, low: int, high: int, bins: int) -> Lattice:
        """Return the finest lattice of at most so many bins that holds the keys from low to high."""
        shift = 0
        while (high >> shift) - (low >> shift) >= bins:
            shift += 1
        return cls(shift, low >> shift, (high >> shift) - (low >> shift) + 1)


class RankHistogram:
    """Counts scores of lesion and healthy voxels without keeping them.

    Args:
        bins: Most bins for each class; a power of two.
        dtype: Of the counts; floating for weighted ones.

    Raises:
        ValueError: If ``bins`` is no power of two.
    """

    def __init__(self, bins: int = BINS, dtype: type[np.generic] = np.int64) -> None:
        if bins < 2 or bins & (bins - 1):
            raise ValueError(f"expected bins a power of two, got {bins}")
        self.bins, self.dtype = bins, dtype
        self._span: tuple[int, int] | None = None
        self._lattice = Lattice(0, 0, 0)
        self._counts: NDArray[Any] = np.zeros((2, 0), dtype)

    @property
    def healthy(self) -> NDArray[Any]:
        """Counts of healthy voxels, (K,), by ascending scores."""
        return self._counts[0]

    @property
    def lesion(self) -> NDArray[Any]:
        """Counts of lesion voxels, (K,), alike."""
        return self._counts[1]

    def add(self, scores: ArrayLike, truth: ArrayLike, weights: NDArray[Any] | None = None) -> Self:
        """Count scores, any shape, against truth (0 or 1), same shape; each once or by its weight (N,).

        Raises:
            ValueError: If shapes differ, a score is not finite, or truth has other values than 0 and 1.
        """
        a, y = check_vectors(scores, truth)
        if a.size:
            keys = to_keys(a)
            self._widen(int(keys.min()), int(keys.max()))
            index = (keys >> np.uint32(self._lattice.shift)).astype(np.int64) - self._lattice.first
            for row, voxels in enumerate((~y, y)):
                class_weights = None if weights is None else weights[voxels]
                counts = np.bincount(index[voxels], class_weights, self._lattice.count)
                self._counts[row] += counts.astype(self.dtype)
        return self

    def merge(self, other: RankHistogram) -> Self:
        """Take in what another histogram counted.

        Raises:
            ValueError: If it has another number of bins.
        """
        if other.bins != self.bins:
            raise ValueError(f"expected a histogram of {self.bins} bins, got {other.bins}")
        if other._span is not None:
            self._widen(*other._span)
            self._put(other._counts, other._lattice)
        return self

    def curve(self) -> RankCurve:
        """Return the counts at the distinct bins, whose scores count as ties; thresholds are lower edges."""
        healthy, lesion = self._counts[:, ::-1]
        above = healthy.cumsum() - healthy
        bins = np.flatnonzero(lesion)
        edges = (self._lattice.first + self._lattice.count - 1 - bins) << self._lattice.shift
        return RankCurve(from_keys(edges), lesion[bins], above[bins], healthy[bins], int(healthy.sum()))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays, to be stored or sent."""
        low, high = self._span or (1, 0)
        shape = np.array([self.bins, low, high], np.int64)
        return {"shape": shape, "counts": self._counts}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Return the histogram that ``to_arrays`` was called on."""
        bins, low, high = (int(v) for v in arrays["shape"])
        histogram = cls(bins)
        if low <= high:
            histogram._widen(low, high)
            histogram._counts = np.array(arrays["counts"], np.int64)
        return histogram

    def _widen(self, low: int, high: int) -> None:
        before = self._span or (low, high)
        span = min(low, before[0]), max(high, before[1])
        if span == self._span:
            return
        counts, lattice = self._counts, self._lattice
        self._span, self._lattice = span, Lattice.span(*span, self.bins)
        self._counts = np.zeros((2, self._lattice.count), self.dtype)
        self._put(counts, lattice)

    def _put(self, counts: NDArray[Any], lattice: Lattice) -> None:
        """Add counts of a lattice that is as fine as ours or finer."""
        index = (np.arange(lattice.count) + lattice.first) >> (self._lattice.shift - lattice.shift)
        for row in (0, 1):
            np.add.at(self._counts[row], index - self._lattice.first, counts[row])


def to_keys(values: NDArray[Any]) -> NDArray[np.uint32]:
    """Return single-precision scores (N,) as whole numbers in the same order; the two zeros are one."""
    bits = (values.astype(np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def from_keys(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the scores of such numbers."""
    bits = numbers.astype(np.uint32)
    return np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float32)
