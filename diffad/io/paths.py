"""What a path of a user leads to, asked so that no name, loop or closed folder is an error."""

from __future__ import annotations

import os
from pathlib import Path


def resolve_path(path: Path) -> Path:
    """Return where a path leads; one that leads back to itself, or nowhere, as far as it goes."""
    return Path(os.path.realpath(path))


def is_present_file(path: Path) -> bool:
    """Tell whether a path leads to a regular file; a name that is too long, or hidden from us, does not."""
    try:
        return path.is_file()
    except OSError:
        return False


def require_new_folder(out: Path, purpose: str) -> None:
    """Refuse a folder that holds something.

    Args:
        out: The folder.
        purpose: What it is for, as "the model".

    Raises:
        ValueError: Naming the folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: expected a new folder for {purpose}, found something there")


def is_lost(path: Path) -> bool:
    """Tell whether a path is a link that leads nowhere, or back to itself."""
    return path.is_symlink() and not resolve_path(path).exists()


def is_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder; a name that is too long, or hidden from us, does not."""
    try:
        return path.is_dir()
    except OSError:
        return False
