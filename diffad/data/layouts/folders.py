"""The files in a folder, and lines that describe faults of many files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from diffad.data.image_file import SUFFIXES as IMAGE_SUFFIXES
from diffad.data.items import DataError
from diffad.data.layouts.base import Entry
from diffad.io.nifti import SUFFIXES
from diffad.io.paths import is_present_file
from diffad.io.search import FETCH
from diffad.io.walk import FolderListing, find_content_gap, iterate_folders

MAX_NAMES = 3
"""Largest number of names in a line, where many files have one fault."""


def list_files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """List the files below a folder with one of the suffixes, sorted, without hidden ones.

    Links are followed.

    Raises:
        DataError: If there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder, found no such folder")
    return sorted(path for path in _list_names(root, suffixes, FolderListing()) if is_present_file(path))


def _list_names(root: Path, suffixes: tuple[str, ...], listing: FolderListing) -> list[Path]:
    folders = iterate_folders(root, listing)
    return [folder / name for folder, names in folders for name in names if name.lower().endswith(suffixes)]


def describe_lost_files(root: Path) -> list[str]:
    """Describe the images and volumes without content, and folders that may not be read, one line each."""
    listing = FolderListing()
    paths = _list_names(root, (*SUFFIXES, *IMAGE_SUFFIXES, ".h5"), listing) if root.is_dir() else []
    gaps = sorted(path for path in paths if find_content_gap(path))
    return [
        *describe_faults(gaps, root, f"files without content; {FETCH}"),
        *describe_faults(listing.closed, root, "folders that may not be read"),
        *describe_faults(listing.repeats, root, "links to folders that are here already"),
    ]


def is_hidden(path: Path, root: Path) -> bool:
    """Tell whether a file or one of its folders is hidden; archives of macOS have such folders."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)


def list_empty_folders(root: Path) -> list[Path]:
    """List the empty folders below a folder, sorted."""
    folders = (p for p in root.rglob("*") if p.is_dir() and not is_hidden(p, root))
    return sorted(p for p in folders if not any(p.iterdir()))


def describe_faults(paths: Sequence[Path], root: Path, what: str) -> list[str]:
    """Describe in one line which files have a fault, with their number and the first few names."""
    return describe_count([p.relative_to(root).as_posix() for p in paths], root, what)


def describe_count(names: Sequence[str], where: Path, what: str) -> list[str]:
    """Describe in one line what was found, with the number and the first few names; no names, no line."""
    rest = ", ..." if len(names) > MAX_NAMES else ""
    return [f"{where}: found {what} ({len(names)}): {', '.join(names[:MAX_NAMES])}{rest}"] if names else []


def describe_divided_subjects(entries: Sequence[Entry], root: Path) -> list[str]:
    """Describe the subjects that are in two splits, one line each."""
    splits_of: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.split:
            splits_of[entry.subject].add(entry.split)
    return [
        f"{root}: expected each subject in one split, found {subject} in {', '.join(sorted(splits))}"
        for subject, splits in sorted(splits_of.items())
        if len(splits) > 1
    ]


def describe_repeated_subjects(entries: Sequence[Entry], root: Path) -> list[str]:
    """Describe the subjects with several entries, one line each."""
    names: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        names[entry.subject].append(entry.name)
    return [
        f"{root}: expected one entry for each subject, found {subject} in {', '.join(sorted(entry_names))}"
        for subject, entry_names in sorted(names.items())
        if len(entry_names) > 1
    ]
