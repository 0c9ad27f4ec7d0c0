"""The changes as CSV and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from diffad.follow_up.changes import FindingChange
from diffad.io.escape import format_csv


def format_changes(changes: Sequence[FindingChange]) -> str:
    """Return the table as CSV, with units in the names of its columns."""
    columns = [column for f in fields(FindingChange) for column in _name_columns(f.name)]
    return format_csv(columns, [_flatten(change) for change in changes])


def _name_columns(name: str) -> list[str]:
    """Name the columns of a field: three, by axis, of a place."""
    if not name.endswith("centre_mm"):
        return [name]
    return [f"{name.removesuffix('_mm')}_{axis}_mm" for axis in "xyz"]


def _flatten(change: FindingChange) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in asdict(change).items():
        columns = _name_columns(name)
        if len(columns) > 1:
            row |= dict(zip(columns, value, strict=True))
        elif isinstance(value, tuple):
            row[name] = " ".join(map(str, value))
        else:
            row[name] = "" if value is None else value
    return row
