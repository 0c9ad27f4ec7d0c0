"""Running sums over maps: mean, standard deviation and overlap, with no more than one scan in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffad.data.volume import Array


@dataclass(eq=False)
class VoxelSums:
    r"""Sums over the scans of a group, voxel by voxel, of what was analysed in each.

    .. math:: n' = n + 1, \quad m' = m + \frac{x - m}{n'}, \quad q' = q + (x - m)(x - m')

    Args:
        count: Scans that were analysed there, :math:`n`, (I, J, K), int32.
        mean: Mean of their maps, :math:`m`, float64.
        squares: Sum of squared differences from it, :math:`q`, float64.
        detections: Scans with a detection there, int32.
        scans: How many scans went in.

    Reference:
        Note on a method for calculating corrected sums of squares and products (Welford, 1962); Updating
        formulae and a pairwise algorithm for computing sample variances (Chan et al., 1979), for merging.
    """

    count: Array
    mean: Array
    squares: Array
    detections: Array
    scans: int = 0

    @classmethod
    def of_shape(cls, shape: tuple[int, ...]) -> VoxelSums:
        """Begin with no scan."""
        counts = (np.zeros(shape, np.int32) for _ in range(2))
        sums = (np.zeros(shape), np.zeros(shape))
        return cls(next(counts), *sums, next(counts))

    def add(self, anomaly: Array, mask: Array, seen_mask: Array) -> None:
        """Add a scan.

        Args:
            anomaly: Its map, (I, J, K).
            mask: Its detections, bool; those beyond what was analysed do not count.
            seen_mask: What was analysed, bool.
        """
        index = np.flatnonzero(seen_mask)
        values = anomaly.ravel()[index].astype(np.float64)
        count, mean, squares = (x.reshape(-1) for x in (self.count, self.mean, self.squares))
        count[index] += 1
        before = values - mean[index]
        mean[index] += before / count[index]
        squares[index] += before * (values - mean[index])
        self.detections += mask & seen_mask
        self.scans += 1

    def merge(self, other: VoxelSums) -> None:
        r"""Add the scans of another group.

        .. math:: m' = m + \frac{n_2}{n + n_2} d, \quad q' = q + q_2 + \frac{n\,n_2}{n + n_2} d^2

        with :math:`d = m_2 - m`.
        """
        total = self.count + other.count
        share = other.count / np.maximum(total, 1)
        difference = other.mean - self.mean
        self.squares += other.squares + difference**2 * self.count * share
        self.mean += difference * share
        self.count, self.scans = total, self.scans + other.scans
        self.detections = self.detections + other.detections

    @property
    def deviation(self) -> Array:
        """Standard deviation of the scans, with n - 1, float64; 0 where fewer than 2 were analysed."""
        return np.sqrt(self.squares / np.maximum(self.count - 1, 1)) * (self.count > 1)

    @property
    def overlap(self) -> Array:
        """Share of the scans analysed there with a detection there, float64; 0 where none was analysed."""
        return self.detections / np.maximum(self.count, 1)

    @property
    def least_drawn(self) -> int:
        """Scans that must have been analysed at a voxel for its share to be drawn: half, and 2 at least."""
        return max(min(2, self.scans), math.ceil(self.scans / 2))
