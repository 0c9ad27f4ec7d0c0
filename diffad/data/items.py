"""What every data set consists of: items with an image, a brain mask, a subject and a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from diffad.data.data_error import DataError as DataError
from diffad.data.place import SlicePlace
from diffad.data.volume import Array, Volume


@dataclass(frozen=True)
class TrainingItem:
    """One training item in the grid of the model.

    Args:
        image: Intensities in [0, 1], background 0, (C, *S).
        mask: Brain mask, (1, *S), in {0, 1}.
        subject: Who was scanned; splits never divide a subject.
        label: 0 healthy, 1 diseased; none where it is not known.
        place: Where in the brain a slice lies; none where it is not known, or the item is a volume.
        neighbours: Slices below and above a slice, (2 N C, *S), see ``diffad.data.neighbours``; none where
            none are asked for.
    """

    image: Tensor
    mask: Tensor
    subject: str
    label: int | None = None
    place: SlicePlace | None = None
    neighbours: Tensor | None = None


class Dataset(Protocol):
    """A sequence of items."""

    def __len__(self) -> int:
        """Return the number of items."""
        ...

    def __getitem__(self, index: int) -> TrainingItem:
        """Return item ``index``, the same each time."""
        ...


@runtime_checkable
class HoldsScans(Protocol):
    """A data set that was cut from whole scans, which it can read again."""

    def read_scans(self, every: int = 1) -> Iterator[tuple[str, Volume, Array]]:
        """Read every so many scans that are not labelled as diseased: their site, volume and brain mask."""
        ...


@runtime_checkable
class Generative(Protocol):
    """A data set whose items can be drawn anew, each time another image of the same subject."""

    def draw(self, index: int, generator: torch.Generator) -> TrainingItem:
        """Draw item ``index``; all that is random about it follows from the generator."""
        ...


def draw_item(data: Dataset, index: int, generator: torch.Generator) -> TrainingItem:
    """Draw item ``index`` where a data set can, else return it as it always is."""
    return data.draw(index, generator) if isinstance(data, Generative) else data[index]
