"""The naive baseline of the median: what differs from the typical healthy slice."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from diffad.inference.median_filter import median_filter


class MedianResidual:
    r"""Scores each voxel by its distance from the median of the training scans.

    .. math:: a = \lvert x - \operatorname{median}_i x_i \rvert

    Args:
        median: Width of the median filter of the map, in voxels; 1 leaves it out.
    """

    def __init__(self, median: int = 5) -> None:
        self.median = median

    def fit(self, train: Tensor, masks: Tensor) -> Self:
        """Learn the median of healthy scans (N, C, *S) inside their brains (N or 1, 1, *S).

        Raises:
            ValueError: If there is no scan.
        """
        if not len(train):
            raise ValueError("expected at least one scan to learn from, got none")
        self.centre = (train * masks).median(0).values
        return self

    def score(self, x: Tensor) -> Tensor:
        """Map scans ``x`` (B, C, *S) in [0, 1] to anomaly maps (B, 1, *S)."""
        return median_filter((x - self.centre).abs().mean(1, keepdim=True), self.median)
