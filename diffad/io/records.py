"""What a finished file was when it was written: its size and its SHA-256, to be compared later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffad.io.files import open_regular
from diffad.io.wording import shorten


def record_file(path: Path) -> dict[str, Any]:
    """Return size and SHA-256 of a file that was just written.

    Raises:
        OSError: If it is not there.
    """
    return {"bytes": path.stat().st_size, "sha256": hash_file(path)}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, or a mark that it cannot be read (which reading it will explain)."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"


def describe_damage(path: Path, record: Any, verify: bool = False) -> str:
    """Say in what a file differs from its record; empty if in nothing, or if there is no record.

    Args:
        path: The file.
        record: What ``record_file`` returned, as JSON gave it back.
        verify: Also compare the content, which reads all of it.
    """
    if not isinstance(record, Mapping):
        return ""
    if not path.is_file():
        return f"{path.name} is missing"
    if (size := path.stat().st_size) != record.get("bytes"):
        return f"{path.name} has {size} bytes instead of {shorten(record.get('bytes'))}"
    if verify and hash_file(path) != record.get("sha256"):
        return f"{path.name} has another content than was written"
    return ""
