"""Texts of users, such as tables and records: regular files of a bounded size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffad.io.files import FileError, read_regular

TEXT_BYTES = 200_000_000
"""Largest size of a text that is read; a table of a million scans is smaller."""


def read_text(
    path: Path, expectation: str = "a text", encoding: str = "utf-8", errors: str = "strict"
) -> str:
    """Read a text; line ends stay as they are.

    Raises:
        FileError: If it is no regular file, too large, or in another encoding; it is named.
    """
    try:
        return read_regular(path, TEXT_BYTES, expectation).decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: expected {expectation}, found no text in {encoding} ({error})") from error


def read_json(path: Path, expectation: str = "JSON") -> Any:
    """Read a JSON file.

    Raises:
        FileError: If it is no regular file, too large, or no JSON; it is named.
    """
    text = read_text(path, expectation)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: expected {expectation}, found no JSON ({error})") from error
