"""What every data set is made of."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

from torch import Tensor

T = TypeVar("T")
SHARES: Mapping[str, float] = MappingProxyType({"train": 0.8, "val": 0.2})
"""How subjects are shared out where a data set does not say."""


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


@dataclass(frozen=True)
class TrainingItem:
    """One training item in the model's grid.

    Args:
        image: Intensities in [0, 1], background 0, (C, *S).
        mask: Brain mask, (1, *S), in {0, 1}.
        subject: Who was scanned; splits never divide a subject.
        label: 0 healthy, 1 diseased; none where nobody says.
    """

    image: Tensor
    mask: Tensor
    subject: str
    label: int | None = None


class Dataset(Protocol):
    """A sequence of items."""

    def __len__(self) -> int:
        """Return the number of items."""
        ...

    def __getitem__(self, index: int) -> TrainingItem:
        """Return item ``index``, the same each time."""
        ...


def split_subjects(subjects: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, list[str]]:
    """Split unique subjects into named shares, each whole in one split, the same for the same seed.

    Args:
        subjects: Subject of each scan, repeats allowed.
        shares: Share of the subjects by split name; they sum to 1.
        seed: Which shuffle.

    Raises:
        DataError: If the shares do not sum to 1 or a split would be empty.
    """
    unique = sorted(set(subjects))
    if not abs(sum(shares.values()) - 1) <= 1e-6:
        raise DataError(f"expected split shares that sum to 1, got {dict(shares)}")
    random.Random(seed).shuffle(unique)
    splits, start = {}, 0.0
    for name, share in shares.items():
        splits[name] = unique[round(start * len(unique)) : round((start + share) * len(unique))]
        start += share
        if not splits[name]:
            raise DataError(f"split {name!r} would be empty: {len(unique)} subjects, shares {dict(shares)}")
    return splits


def split_scans(
    scans: Sequence[T], subjects: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, list[T]]:
    """Split scans so that those of one subject stay together; order is kept inside each split.

    Args:
        scans: What is shared out.
        subjects: Subject of each scan.
        shares: As for ``split_subjects``.
        seed: As for ``split_subjects``.

    Raises:
        DataError: As ``split_subjects``.
    """
    parts = {name: set(part) for name, part in split_subjects(subjects, shares, seed).items()}
    pairs = list(zip(scans, subjects, strict=True))
    return {name: [scan for scan, subject in pairs if subject in part] for name, part in parts.items()}


def require_disjoint(splits: Mapping[str, Sequence[str]], source: Path | str) -> None:
    """Check splits that were given: no subject may be in two.

    Args:
        splits: Subjects by split.
        source: What errors name.

    Raises:
        DataError: If one is; all such subjects are listed with their splits.
    """
    homes: dict[str, list[str]] = {}
    for name, subjects in splits.items():
        for subject in set(subjects):
            homes.setdefault(subject, []).append(name)
    if shared := [
        f"{subject} ({', '.join(names)})" for subject, names in sorted(homes.items()) if len(names) > 1
    ]:
        raise DataError(f"{source}: expected each subject in one split, got {'; '.join(shared)}")


def choose_split(splits: Mapping[str, list[T]], split: str, source: Path | str) -> list[T]:
    """Return one split, which must exist and hold something.

    Raises:
        DataError: If it does not; the splits there are are listed.
    """
    if not splits.get(split):
        sizes = ", ".join(f"{name} ({len(part)})" for name, part in splits.items()) or "none"
        raise DataError(f"{source}: expected scans in split {split!r}, found splits {sizes}")
    return splits[split]
