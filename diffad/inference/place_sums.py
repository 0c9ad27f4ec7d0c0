"""Sums of maps of healthy scans by place in the brain, from which their mean and spread follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from diffad.data.brain_box import find_brain_box

GRID = (32, 40, 32)
"""Cells of the box around a brain, along its axes in RAS: about 4.5 mm each."""


@dataclass(frozen=True)
class PlaceSums:
    """Sums over healthy scans, by cell of the box around the brain; those of parts add up.

    Args:
        values: Share of the cell that was analysed, map and squared map averaged over the cell, (3, *GRID).
        scans: Scans they are of.
    """

    values: Tensor
    scans: int

    @classmethod
    def of(cls, anomaly: Tensor, analysed: Tensor, brain: Tensor) -> PlaceSums:
        """Sum up one scan.

        Args:
            anomaly: Its map as the score and the smoothing left it, (I, J, K), in RAS.
            analysed: Voxels that were looked at, (I, J, K).
            brain: Brain mask, (I, J, K).

        Raises:
            ValueError: If the brain mask is empty.
        """
        box = find_brain_box(brain)
        part, weights = anomaly[box].double(), analysed[box].double()
        moments = torch.stack([weights, part * weights, part.square() * weights])
        return cls(functional.adaptive_avg_pool3d(moments[None], GRID)[0], 1)

    def __add__(self, other: PlaceSums) -> PlaceSums:
        return PlaceSums(self.values + other.values, self.scans + other.scans)

    def __sub__(self, other: PlaceSums) -> PlaceSums:
        return PlaceSums(self.values - other.values, self.scans - other.scans)

    @classmethod
    def total(cls, parts: Iterable[PlaceSums]) -> PlaceSums:
        """Add up scans."""
        return sum(parts, cls(torch.zeros(3, *GRID, dtype=torch.float64), 0))
