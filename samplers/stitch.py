"""Boxes put together again: a weighted mean wherever they overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffad.samplers.boxes import Box, crop_box
from diffad.types import Reconstruction, StepRecord

Parts = Callable[[Tensor], Sequence[Tensor]]
"""Takes a stack of states of all boxes apart into boxes."""

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
        offset = torch.arange(side) - (side - 1) / 2
        bell = torch.exp(-((offset / (SIGMA * side)) ** 2) / 2)
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


class ReconstructionStitch:
    """Stitches all images that an inner sampler returns, and counts what they cost.

    Args:
        begin: Makes an empty stitch over what shows wherever no box counts.
        x: The whole image, (B, C, *S).
    """

    def __init__(self, begin: Callable[[Tensor], Stitch], x: Tensor) -> None:
        self.begin, self.nfe = begin, 0
        self.under = {
            "image": x,
            "reference": x,
            "std": torch.zeros_like(x),
            "map": torch.zeros_like(x[:, :1]),
        }
        self.stitches: dict[str, Stitch] = {}

    def add(self, result: Reconstruction, parts: Parts, count: int) -> None:
        """Add the next ``count`` boxes, which ``parts`` takes out of the result of their inner sampler."""
        self.nfe += result.nfe * count
        for name, under in self.under.items():
            stack: Tensor | None = getattr(result, name)
            if stack is not None:
                if name not in self.stitches:
                    self.stitches[name] = self.begin(under)
                self.stitches[name].add(parts(stack))

    def reconstruction(self) -> Reconstruction:
        """Return the reconstruction of the whole image."""
        image, std, anomaly_map, reference = (
            self.stitches[name].image() if name in self.stitches else None
            for name in ("image", "std", "map", "reference")
        )
        assert image is not None
        return Reconstruction(image, self.nfe, std=std, map=anomaly_map, reference=reference)


class Records:
    """Stitches the records of an inner sampler, move by move, and hands them on.

    Where the boxes come in several chunks, the moves of the first ones are kept until the last has made them.

    Args:
        begin: Makes an empty stitch over what shows wherever no box counts.
        x: The whole image, (B, C, *S).
        on_step: Who gets the records of whole images.
    """

    def __init__(
        self, begin: Callable[[Tensor], Stitch], x: Tensor, on_step: Callable[[StepRecord], None]
    ) -> None:
        self.begin, self.x, self.on_step = begin, x, on_step
        self.moves: list[list[Stitch]] = []

    def of(self, parts: Parts, first: bool, last: bool) -> Callable[[StepRecord], None]:
        """Return what takes the records of one chunk, whose states ``parts`` takes apart into boxes."""
        moves = iter(self.moves)

        def take(record: StepRecord) -> None:
            stitches = self._begin_move(record) if first else next(moves)
            states = (record.x_t, record.x_hat, record.x_s, *([] if record.map is None else [record.map]))
            for stitch, state in zip(stitches, states, strict=True):
                stitch.add(parts(state))
            if last:
                self.on_step(StepRecord(record.t, record.s, *(stitch.image() for stitch in stitches)))
            elif first:
                self.moves.append(stitches)

        return take

    def _begin_move(self, record: StepRecord) -> list[Stitch]:
        """Begin the stitches of the three states of a move, and of its map where there is one."""
        maps = [] if record.map is None else [self.begin(torch.zeros_like(self.x[:, :1]))]
        return [*(self.begin(self.x) for _ in range(3)), *maps]
