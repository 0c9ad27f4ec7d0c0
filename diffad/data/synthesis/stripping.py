"""What a skull stripping leaves: too much fluid here, too little brain there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.spline import draw_controls, evaluate_spline

EXACT = 1.0
"""Fluid that is left around a brain where nothing goes wrong, in mm."""

KNOTS = 40.0
"""Distance of the knots of the varying rim, in mm."""


@dataclass(frozen=True)
class Stripping:
    """How far from the hull of the brain a stripping cuts.

    Args:
        rim: Mean distance, in mm; negative where brain is lost.
        variation: Largest change of a control point from place to place, in mm.
    """

    rim: float = EXACT
    variation: float = 0.0

    @classmethod
    def draw(cls, generator: torch.Generator) -> Stripping:
        """Draw a stripping: half of them usual, a quarter tight, the others generous."""
        kind, place, variation = torch.rand(3, generator=generator).tolist()
        low, high = (0.5, 3.0) if kind < 0.5 else (-1.0, 0.5) if kind < 0.75 else (3.0, 8.0)
        return cls(low + (high - low) * place, 3.0 * variation)

    def cut(self, depth: Tensor, axes: Sequence[Tensor], generator: torch.Generator) -> Tensor:
        """Mark what is left, from the distance to the hull (*S) in mm on a grid, bool."""
        return depth <= self.draw_rim(axes, generator)

    def draw_rim(self, axes: Sequence[Tensor], generator: torch.Generator) -> Tensor:
        """Draw the distance from the hull up to which a head is left, (*S), in mm on a grid."""
        edges, firsts = [float(a[-1] - a[0]) for a in axes], [float(a[0]) for a in axes]
        controls = draw_controls(1, edges, KNOTS, generator)
        return self.rim + self.variation * evaluate_spline(controls, KNOTS, axes, firsts)[0]

    def cut_probes(self, depth: Tensor, generator: torch.Generator) -> Tensor:
        """Mark the probes that are left, (P,), bool, as ``cut`` does on average."""
        change = 0.3 * self.variation * torch.randn(depth.shape, generator=generator)
        return (depth <= self.rim + change) | (depth < -3)
