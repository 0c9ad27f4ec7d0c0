"""Folders as they are: what lies in them, and faults of many files in one line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry

SHOWN = 3
"""So many names are told where many files have one fault."""


def list_files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the files below a folder with one of the suffixes, sorted, without hidden ones.

    Raises:
        DataError: If there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder, found none")
    every = (p for p in root.rglob("*") if p.name.lower().endswith(suffixes))
    return sorted(p for p in every if not is_hidden(p, root) and p.is_file())


def is_hidden(path: Path, root: Path) -> bool:
    """Return whether a file or a folder it lies in is hidden; archives of macOS have such."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)


def list_empty_folders(root: Path) -> list[Path]:
    """List the folders below a folder that hold nothing, sorted."""
    folders = (p for p in root.rglob("*") if p.is_dir() and not is_hidden(p, root))
    return sorted(p for p in folders if not any(p.iterdir()))


def describe_faults(paths: Sequence[Path], root: Path, what: str) -> list[str]:
    """Say in one line how many files have a fault, and name the first few."""
    return describe_count([p.relative_to(root).as_posix() for p in paths], root, what)


def describe_count(names: Sequence[str], where: Path, what: str) -> list[str]:
    """Say in one line how many there are of something, and name the first few."""
    more = ", ..." if len(names) > SHOWN else ""
    return [f"{where}: {len(names)} {what}: {', '.join(names[:SHOWN])}{more}"] if names else []


def describe_divided_subjects(entries: Sequence[Entry], root: Path) -> list[str]:
    """Name the subjects that lie in two splits."""
    homes: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.split:
            homes[entry.subject].add(entry.split)
    return [
        f"{root}: subject {subject} is in several splits: {', '.join(sorted(splits))}"
        for subject, splits in sorted(homes.items())
        if len(splits) > 1
    ]


def describe_repeated_subjects(entries: Sequence[Entry], root: Path) -> list[str]:
    """Name the subjects that several entries show."""
    names: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        names[entry.subject].append(entry.name)
    return [
        f"{root}: subject {subject} is there more than once: {', '.join(sorted(found))}"
        for subject, found in sorted(names.items())
        if len(found) > 1
    ]
