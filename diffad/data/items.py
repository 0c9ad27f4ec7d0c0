"""What every data set is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


@dataclass(frozen=True)
class Item:
    """One training item in the model's grid.

    Args:
        image: Intensities in [0, 1], background 0, (C, *S).
        mask: Brain mask, (1, *S), in {0, 1}.
        subject: Who was scanned; splits never divide a subject.
    """

    image: Tensor
    mask: Tensor
    subject: str


class Dataset(Protocol):
    """A sequence of items."""

    def __len__(self) -> int:
        """Return the number of items."""
        ...

    def __getitem__(self, index: int) -> Item:
        """Return item ``index``, the same each time."""
        ...


def split_subjects(subjects: Sequence[str], shares: dict[str, float], seed: int) -> dict[str, list[str]]:
    """Split unique subjects into named shares, each whole in one split, the same for the same seed.

    Args:
        subjects: Subject of each scan, repeats allowed.
        shares: Share of the subjects by split name; they sum to 1.
        seed: Which shuffle.

    Raises:
        DataError: If the shares do not sum to 1 or a split would be empty.
    """
    import random

    unique = sorted(set(subjects))
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise DataError(f"expected split shares that sum to 1, got {shares}")
    random.Random(seed).shuffle(unique)
    splits, start = {}, 0.0
    for name, share in shares.items():
        splits[name] = unique[round(start * len(unique)) : round((start + share) * len(unique))]
        start += share
        if not splits[name]:
            raise DataError(f"split {name!r} would be empty: {len(unique)} subjects, shares {shares}")
    return splits
