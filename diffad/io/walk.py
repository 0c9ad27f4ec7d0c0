"""The volumes in a folder and those in it, and what else lies there; links are followed, and none twice."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diffad.io.files import FETCH_ANNEX, FETCH_LFS, POINTER_BYTES, FileError, describe_pointer, open_regular
from diffad.io.nifti import PARTNERS, is_volume_name, stem
from diffad.io.paths import is_lost, resolve_path

TEXTS = (".json", ".tsv", ".csv", ".txt", ".md", ".rst", ".html", ".yaml", ".yml", ".xml", ".log", ".pdf")
"""Ends of files that tell of scans."""
SIDECARS = (*TEXTS, ".bval", ".bvec", ".py", ".sh", ".m", ".mat", ".lta", ".xfm", ".h5", ".gii", ".tmp")
"""Ends of files that accompany scans, and that nobody takes for scans."""

TITLES = ("README", "CHANGES", "LICENSE", "LICENCE", "AUTHORS", "VERSION", "Makefile")
"""Names without an end that are texts."""


@dataclass
class FolderListing:
    """What lies in a folder and those in it, hidden files and folders left out.

    Args:
        volumes: Volumes by their names, those without content too, in the order of their paths.
        others: Files that may be images but are of no kind that is read here.
        closed: Folders that may not be read.
        repeats: Linked folders that lead to one that was searched already.
        lost: Links without an end in their names that lead nowhere, and may have led to folders.
    """

    volumes: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)
    repeats: list[Path] = field(default_factory=list)
    lost: list[Path] = field(default_factory=list)

    def __iadd__(self, listing: FolderListing) -> FolderListing:
        self.volumes += listing.volumes
        self.others += listing.others
        self.closed += listing.closed
        self.repeats += listing.repeats
        self.lost += listing.lost
        return self


def walk_folder(folder: Path, skip: Path | None = None) -> FolderListing:
    """List a folder, out of which links may lead, as git-annex and DataLad trees consist of them.

    Args:
        folder: The folder.
        skip: A folder in it that is passed over.
    """
    listing = FolderListing()
    for root, names in iterate_folders(folder, listing, skip):
        _sort_files(root, names, listing)
    listing.volumes.sort()
    return listing


def iterate_folders(
    folder: Path, listing: FolderListing, skip: Path | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """Go through a folder and those in it, with the names of the files in each, hidden ones left out.

    Args:
        folder: The folder.
        listing: Folders that may not be read or were searched already are added.
        skip: A folder in it that is passed over.
    """
    history = {resolve_path(folder)}
    skip_path = None if skip is None else resolve_path(skip)

    def note_closed(error: OSError) -> None:
        listing.closed.append(Path(os.fsdecode(error.filename)))

    for root, folders, files in os.walk(folder, onerror=note_closed, followlinks=True):
        folders[:] = _choose_folders(Path(root), folders, history, skip_path, listing)
        yield Path(root), sorted(name for name in files if not name.startswith("."))


def _choose_folders(
    root: Path, names: list[str], history: set[Path], skip: Path | None, listing: FolderListing
) -> list[str]:
    chosen_names = []
    for name in sorted(n for n in names if not n.startswith(".") and n != "__MACOSX"):
        target = resolve_path(root / name)
        if target == skip:
            continue
        if target in history:
            listing.repeats.append(root / name)
        else:
            history.add(target)
            chosen_names.append(name)
    return chosen_names


def _sort_files(root: Path, names: list[str], listing: FolderListing) -> None:
    headers = {stem(Path(name)) for name in names if name.lower().endswith(".hdr")}
    for name in names:
        path, lower_name = root / name, name.lower()
        if is_volume_name(name):
            listing.volumes.append(path)
        elif not path.suffix and is_lost(path):
            listing.lost.append(path)
        elif lower_name.endswith(PARTNERS) and stem(path) in headers:
            continue  # the image of a pair, which its header stands for
        elif not lower_name.endswith(SIDECARS) and name not in TITLES:
            listing.others.append(path)


def find_content_gap(path: Path) -> str | None:
    """Say why a file has no content and must be fetched first; none if it has, or is wrong in another way.

    Args:
        path: A file of a user, maybe a link that leads nowhere or a pointer of git-annex or Git LFS.
    """
    try:
        size = path.stat().st_size if path.is_file() else None
        if size is None and is_lost(path) and not _leads_back(path):
            return FETCH_ANNEX if "annex/objects/" in str(path.readlink()) else "a link that leads nowhere"
        if size is None or size > POINTER_BYTES:
            return None
        with open_regular(path) as file:
            return describe_pointer(file.read(POINTER_BYTES))
    except FileError as error:
        return next((text for text in (FETCH_ANNEX, FETCH_LFS) if text in str(error)), None)
    except OSError:
        return None


def _leads_back(path: Path) -> bool:
    """Tell whether a link leads back to itself, which no fetching mends."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False
