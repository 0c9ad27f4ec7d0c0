"""Sizes and digests of files, kept beside them, so that damage shows before they are used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from diffad.io.files import open_regular, read_regular
from diffad.io.wording import shorten

RECORD = "digests.json"
"""Name of the record in a folder; without it, nothing is compared."""
MAX_RECORD = 1_000_000
"""Bytes of a record."""


def write_digests(folder: Path, files: Iterable[Path]) -> Path:
    """Write the record of files in ``folder``.

    Args:
        folder: Where the record goes.
        files: Files in it.

    Raises:
        OSError: If a file cannot be read, or the record cannot be written.
    """
    record = {file.relative_to(folder).as_posix(): describe_file(file) for file in sorted(files)}
    path = folder / RECORD
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def describe_file(path: Path) -> dict[str, Any]:
    """Return size and SHA-256 of a file that was just written.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"size": file.tell(), "sha256": digest}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, or a mark that it cannot be read (which reading it will explain)."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def compare_file(path: Path, entry: object, verify: bool = True) -> str:
    """Say in what a file differs from its entry in a record; empty if in nothing.

    Args:
        path: The file.
        entry: What ``describe_file`` returned, as JSON gave it back.
        verify: Also compare the content, which reads all of it.
    """
    if not path.is_file():
        return f"{shorten(path.name)} is missing"
    recorded: Mapping[Any, Any] = entry if isinstance(entry, Mapping) else {}
    if (size := path.stat().st_size) != recorded.get("size"):
        return f"{shorten(path.name)} has {size} bytes, not {shorten(repr(recorded.get('size')))}"
    if verify and hash_file(path) != recorded.get("sha256"):
        return f"{shorten(path.name)} is not what was written, by its checksum"
    return ""


def find_damage(folder: Path, skipped: Collection[str] = ()) -> str | None:
    """Return what is wrong with the files that the record of a folder names; none if all is as it was.

    A folder without a record has nothing that could be compared.

    Args:
        folder: Folder of the files.
        skipped: Folders in it whose files are not looked at.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        record = json.loads(read_regular(path, MAX_RECORD))
        entries = [(name, e) for name, e in record.items() if name.partition("/")[0] not in skipped]
        files = [(folder / name, entry) for name, entry in entries]
        return next((text for file, entry in files if (text := compare_file(file, entry))), None)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return f"{path.name} cannot be read ({shorten(error)})"
