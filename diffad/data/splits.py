"""Who is in which split: every subject whole in one, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from diffad.data.items import DataError

T = TypeVar("T")
SHARES: Mapping[str, float] = MappingProxyType({"train": 0.8, "val": 0.2})
"""Fractions of the subjects by split, where a data set does not say."""


def split_subjects(subjects: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, list[str]]:
    """Split unique subjects at random, the same for the same seed.

    Args:
        subjects: Subject of each scan, repeats allowed.
        shares: Fraction of the subjects by the name of the split; they sum to 1.
        seed: Seed of the shuffle.

    Raises:
        DataError: If the fractions do not sum to 1, or a split would be empty.
    """
    unique = sorted(set(subjects))
    if not abs(sum(shares.values()) - 1) <= 1e-6:
        raise DataError(f"expected shares of splits that sum to 1, got {dict(shares)}")
    random.Random(seed).shuffle(unique)
    splits, start = {}, 0.0
    for name, fraction in shares.items():
        splits[name] = unique[round(start * len(unique)) : round((start + fraction) * len(unique))]
        start += fraction
        if not splits[name]:
            raise DataError(
                f"expected subjects for every split, found too few: with {len(unique)} of them and the "
                f"shares {dict(shares)}, split {name!r} would be empty"
            )
    return splits


def split_scans(
    scans: Sequence[T], subjects: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, list[T]]:
    """Split scans so that those of one subject stay together; inside a split they keep their order.

    Args:
        scans: The scans.
        subjects: Subject of each scan.
        shares: As for ``split_subjects``.
        seed: As for ``split_subjects``.

    Raises:
        DataError: As ``split_subjects``.
    """
    members = {name: set(split) for name, split in split_subjects(subjects, shares, seed).items()}
    pairs = list(zip(scans, subjects, strict=True))
    return {name: [scan for scan, subject in pairs if subject in split] for name, split in members.items()}


def require_disjoint(splits: Mapping[str, Sequence[str]], source: Path | str) -> None:
    """Check that no subject is in two splits.

    Args:
        splits: Subjects by split.
        source: What messages name.

    Raises:
        DataError: If a subject is in two; the message lists all such subjects with their splits.
    """
    names_of_subject: dict[str, list[str]] = {}
    for name, subjects in splits.items():
        for subject in set(subjects):
            names_of_subject.setdefault(subject, []).append(name)
    if overlaps := [
        f"{subject} ({', '.join(names)})"
        for subject, names in sorted(names_of_subject.items())
        if len(names) > 1
    ]:
        raise DataError(f"{source}: expected each subject in one split, found {'; '.join(overlaps)}")


def choose_split(splits: Mapping[str, list[T]], split: str, source: Path | str) -> list[T]:
    """Return the scans of one split.

    Raises:
        DataError: If there are none; the message lists the splits with their numbers of scans.
    """
    if not splits.get(split):
        sizes = ", ".join(f"{name} ({len(scans)})" for name, scans in splits.items()) or "none"
        raise DataError(f"{source}: expected scans in split {split!r}, found these splits: {sizes}")
    return splits[split]
