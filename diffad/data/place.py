"""Where in the brain a slice lies: its plane, and its share of the way through the brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.slices import Axis, axis_index, to_slices

UNKNOWN = (-1.0, 0.0)
"""The row of a slice whose place nobody knows."""
SAGITTAL = 0
"""The plane that a mirror of left and right leaves, at the other end of the brain."""


@dataclass(frozen=True)
class SlicePlace:
    """The place of a slice, which needs no registration.

    Args:
        orientation: 0 sagittal, 1 coronal, 2 axial.
        position: Where the middle of the slice lies in the box around the brain, in [0, 1]; 0 is the left,
            the posterior or the inferior end.

    Raises:
        ValueError: If either is out of its range.
    """

    orientation: int
    position: float

    def __post_init__(self) -> None:
        if self.orientation not in (0, 1, 2):
            raise ValueError(f"expected the orientation 0, 1 or 2 of a slice, got {self.orientation!r}")
        if not 0 <= self.position <= 1:
            raise ValueError(f"expected the position of a slice in [0, 1], got {self.position!r}")


def find_places(brain: Tensor, axis: Axis, keys: Sequence[int]) -> list[SlicePlace]:
    r"""Find the places of some slices in the box around a brain.

    .. math:: p_k = (k - k_0 + 1/2) / (k_1 - k_0 + 1)

    where :math:`k_0` and :math:`k_1` are the first and last slice with brain, whichever are looked at.

    Args:
        brain: Mask of the whole brain, (1, I, J, K), not empty.
        axis: Plane of the slices.
        keys: Numbers of the slices, counted in RAS; those beyond the brain lie at its end.
    """
    indices = to_slices(brain, axis).flatten(1).any(1).nonzero().flatten()
    first, last = int(indices[0]), int(indices[-1])
    positions = ((key - first + 0.5) / (last - first + 1) for key in keys)
    return [SlicePlace(axis_index(axis), min(1.0, max(0.0, p))) for p in positions]


def tabulate_places(places: Sequence[SlicePlace | None]) -> Tensor:
    """Return orientation and position of each slice, (B, 2), as networks take them; -1 and 0 of no place."""
    rows = [UNKNOWN if p is None else (float(p.orientation), p.position) for p in places]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 2)


def read_places(table: Tensor) -> list[SlicePlace | None]:
    """Return the places of a table (B, 2); the inverse of ``tabulate_places``."""
    return [SlicePlace(int(o), float(p)) if o >= 0 else None for o, p in table.tolist()]


def mirror_places(table: Tensor, flip: Tensor) -> Tensor:
    """Mirror the places (B, 2) of the heads whose left and right were changed, (B,) bool."""
    other_side = torch.stack([table[:, 0], 1 - table[:, 1]], 1)
    return torch.where((flip & (table[:, 0] == SAGITTAL))[:, None], other_side, table)
