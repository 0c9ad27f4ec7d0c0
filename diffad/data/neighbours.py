"""The slices below and above a slice, which a 2-D network may be shown beside it.

Those of a slice are the N below and the N above it in the axis that is looked at, from the lowest on,
(2 N C, H, W); beyond the end of the brain its last slice is repeated. They are shown inside the brain of the
slice itself, as only there the network is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.data.items import DataError, TrainingItem


@dataclass(frozen=True)
class NeighbourSlices:
    """Which slices of a scan are neighbours of which, and those that are nothing else.

    Args:
        image: Raw slices that are only neighbours, (M, C, H, W), as a range of slices may end in the brain.
        brain: Their brain masks, (M, 1, H, W), bool.
        rows: For each of the N slices that are looked at the numbers of its neighbours, counted over these N
            and the M beyond them.
    """

    image: Tensor
    brain: Tensor
    rows: list[list[int]]


def list_neighbour_keys(key: int, count: int, first: int, last: int, step: int = 1) -> list[int]:
    """Return the numbers of the slices below and above slice ``key``, none beyond the ends of the brain.

    Args:
        key: Number of the slice.
        count: Slices N on either side.
        first: Lowest slice with brain.
        last: Highest slice with brain.
        step: Distance of the slices.
    """
    offsets = [*range(-count, 0), *range(1, count + 1)]
    return [min(max(key + step * offset, first), last) for offset in offsets]


def find_neighbours(planes: Tensor, masks: Tensor, keys: Sequence[int], count: int) -> NeighbourSlices | None:
    """Find the neighbours of some slices of a volume; none where none are asked for.

    Args:
        planes: All slices, (K, C, H, W).
        masks: Their brain masks, (K, 1, H, W), bool, not empty.
        keys: Numbers of the slices that are looked at.
        count: Slices on either side.
    """
    if not count:
        return None
    ends = masks.flatten(1).any(1).nonzero().flatten()[[0, -1]].tolist()
    rows = [list_neighbour_keys(key, count, *ends) for key in keys]
    further = sorted({k for row in rows for k in row} - set(keys))
    position = {key: n for n, key in enumerate([*keys, *further])}
    return NeighbourSlices(planes[further], masks[further], [[position[k] for k in row] for row in rows])


def gather_neighbours(slices: Tensor, rows: Sequence[Sequence[int]], brain: Tensor) -> Tensor:
    """Show the neighbours of each slice inside its own brain.

    Args:
        slices: Slices in the space of the model, (M, C, *S).
        rows: Numbers of the 2 N neighbours among them, for each of B slices.
        brain: Brain masks of the B slices, (B, 1, *S), in {0, 1}.

    Returns:
        Neighbours, (B, 2 N C, *S); without channels where there are none.
    """
    index = torch.tensor([list(row) for row in rows], dtype=torch.long).reshape(len(brain), -1)
    return slices[index].flatten(1, 2) * brain.to(slices.dtype)


def stack_neighbours(items: Sequence[TrainingItem]) -> Tensor:
    """Return the neighbours of items, (B, 2 N C, *S), without channels where they have none."""
    rows = [item.image[:0] if item.neighbours is None else item.neighbours for item in items]
    return torch.stack(rows)


def refuse_neighbours(space: SpaceConfig | None, name: str) -> None:
    """Refuse to show neighbours in a data set of single images.

    Raises:
        DataError: If the space asks for some.
    """
    if space is not None and space.neighbours:
        raise DataError(
            f"expected space.neighbours = 0 with the data set {name}, whose images have no slices below and "
            f"above, got {space.neighbours}; use volumes, labels or a mix of them"
        )
