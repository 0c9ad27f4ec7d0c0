"""Boxes put together again: a weighted mean wherever they overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffad.samplers.boxes import Box, crop_box
from diffad.types import StepRecord

BLENDS = ("mean", "gaussian")

SIGMA = 0.125
"""Standard deviation of a Gaussian window, in sides of the box."""

FLOOR = 1e-3
"""Smallest weight of a Gaussian window, so that no voxel rests on rounding errors."""


def blend_window(sides: Sequence[int], blend: str = "mean") -> Tensor:
    r"""Weigh the voxels of a box, (*box): all alike, or less towards its faces.

    .. math:: w(u) = \max\Big(10^{-3}, \prod_a e^{-(u_a - c_a)^2 / 2 (p_a / 8)^2}\Big)

    Args:
        sides: Side :math:`p_a` of the box along each axis; :math:`c` is its centre.
        blend: "mean" or "gaussian".

    Reference:
        nnU-Net (Isensee et al., 2021), supplementary note 2: Gaussian importance weighting.
    """
    weights = torch.ones(())
    for side in sides:
        at = torch.arange(side) - (side - 1) / 2
        bell = torch.exp(-((at / (SIGMA * side)) ** 2) / 2)
        weights = weights[..., None] * (bell if blend == "gaussian" else torch.ones(side))
    return weights.clamp(min=FLOOR)


class Stitch:
    r"""A sum over boxes that becomes an image, :math:`y = \sum_k w_k y_k / \sum_k w_k`.

    Boxes are added one after the other in a fixed order, and those that do not count for an item add an
    exact 0, so that an item's rounding does not depend on its batch.

    Args:
        x: What shows wherever no box counts, (B, C, *S).
        boxes: The boxes.
        weights: Window of a whole box, (*box); a box cut at an edge takes its first part.
        alive: Which box counts for which item, (K, B), bool.
    """

    def __init__(self, x: Tensor, boxes: Sequence[Box], weights: Tensor, alive: Tensor) -> None:
        self.x, self.boxes, self.alive = x, boxes, alive.to(x.device)
        self.weights = weights.to(x)
        self.total, self.added = torch.zeros_like(x), 0

    def add(self, parts: Sequence[Tensor]) -> None:
        """Add the next boxes, each (B, C, *box)."""
        for y in parts:
            box, weight = self.boxes[self.added], self._weight(self.added)
            crop_box(self.total, box).add_(torch.where(weight > 0, weight * y, 0))
            self.added += 1

    def _weight(self, k: int) -> Tensor:
        """Weigh box k for each item, (B, 1, *box)."""
        cut = self.weights[tuple(slice(0, s.stop - s.start) for s in self.boxes[k])]
        alive = self.alive[k].to(cut.dtype)
        return alive.reshape(-1, 1, *[1] * cut.ndim) * cut

    def image(self) -> Tensor:
        """Return the stitched image, (B, C, *S)."""
        coverage = torch.zeros_like(self.x[:, :1])
        for k, box in enumerate(self.boxes):
            crop_box(coverage, box).add_(self._weight(k))
        return torch.where(coverage > 0, self.total / coverage, self.x)


class Records:
    """Stitches the records of an inner sampler, move by move, and hands them on.

    Where the boxes come in several lots, the moves of the first ones are kept until the last has made them.

    Args:
        begin: Makes an empty stitch.
        on_step: Who gets the records of whole images.
    """

    def __init__(self, begin: Callable[[], Stitch], on_step: Callable[[StepRecord], None]) -> None:
        self.begin, self.on_step = begin, on_step
        self.moves: list[tuple[Stitch, Stitch, Stitch]] = []

    def of(
        self, parts: Callable[[Tensor], Sequence[Tensor]], first: bool, last: bool
    ) -> Callable[[StepRecord], None]:
        """Return what takes the records of one lot, whose states ``parts`` takes apart into boxes."""
        moves = iter(self.moves)

        def take(record: StepRecord) -> None:
            stitches = (self.begin(), self.begin(), self.begin()) if first else next(moves)
            for stitch, state in zip(stitches, (record.x_t, record.x_hat, record.x_s), strict=True):
                stitch.add(parts(state))
            if last:
                x_t, x_hat, x_s = (stitch.image() for stitch in stitches)
                self.on_step(StepRecord(record.t, record.s, x_t, x_hat, x_s))
            elif first:
                self.moves.append(stitches)

        return take
