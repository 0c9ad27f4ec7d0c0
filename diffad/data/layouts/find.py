"""Recognising the layout of a folder, and listing its entries."""

from __future__ import annotations

from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Listing
from diffad.data.layouts.folders import describe_lost_files
from diffad.registry import LAYOUTS


def recognise(root: Path) -> list[tuple[str, int]]:
    """Return the layouts that fit a folder, with the number of files that speak for each, best first.

    Raises:
        DataError: If there is no such folder or table.
    """
    if not root.exists():
        raise DataError(f"{root}: expected a folder of a data set, found no such folder")
    names = [name for name in LAYOUTS if root.is_dir() or name == "table"]
    hits = [(name, LAYOUTS.build(name).fits(root)) for name in names]
    return sorted(((name, count) for name, count in hits if count), key=lambda hit: (-hit[1], hit[0]))


def list_entries(root: Path, layout: str | None = None) -> Listing:
    """List the entries of a data set on disk.

    Args:
        root: Its folder, or a table.
        layout: Name of the layout; none takes the one that fits most files.

    Raises:
        DataError: If no layout fits; the message lists all of them.
        UnknownNameError: If there is no such layout.
    """
    if layout is None:
        matches = recognise(root)
        if not matches:
            hints = "".join(f"; {line}" for line in describe_lost_files(root))
            layouts = ", ".join(LAYOUTS)
            raise DataError(f"{root}: expected one of the layouts {layouts}, found none of them{hints}")
        layout = matches[0][0]
    listing: Listing = LAYOUTS.build(layout).entries(root)
    return listing
