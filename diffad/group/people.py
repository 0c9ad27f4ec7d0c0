"""Groups of scans by a column of a table of people, as ``participants.tsv`` of BIDS is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from diffad.group.scans import GroupScan
from diffad.io.escape import escape_name
from diffad.io.search import list_names
from diffad.io.text import read_text
from diffad.registry import suggest_name

PEOPLE = ("participant_id", "subject", "scan")
"""Columns that name a person or a scan; the first that is there counts."""
TABLE = "participants.tsv"
EMPTY = ("", "n/a", "na", "nan")
"""Values that say nothing."""


def group_scans(
    scans: Sequence[GroupScan], column: str, table: Path
) -> tuple[dict[str, list[GroupScan]], list[str]]:
    """Sort scans into groups by a column of a table.

    Args:
        scans: The scans.
        column: Name of the column, such as diagnosis.
        table: A TSV or CSV with that column and one of participant_id, subject and scan.

    Returns:
        The scans of each value, in the order of the values; and the names of those without one.

    Raises:
        ValueError: If a column is missing, a person has two values, or no scan has one; the table is named.
    """
    values = _read_values(table, column)
    groups: dict[str, list[GroupScan]] = {}
    strangers: list[str] = []
    for scan in scans:
        names = (scan.name, scan.person, scan.person.removeprefix("sub-"))
        value = next((values[name] for name in names if name in values), "")
        if value.lower() in EMPTY:
            strangers.append(scan.name)
        else:
            groups.setdefault(value, []).append(scan)
    if not groups:
        raise ValueError(f"{table}: expected a {column} of {list_names(strangers)}, found none of any scan")
    return {value: groups[value] for value in sorted(groups)}, strangers


def find_table(folder: Path) -> Path:
    """Find the table of people of a folder of results: in it, or in the data set that it is a derivative of.

    Raises:
        ValueError: If there is none.
    """
    folder = folder.absolute()
    places = [place / TABLE for place in (folder, *list(folder.parents)[:3])]
    table = next((place for place in places if place.is_file()), None)
    if table is None:
        expectation = f"expected a {TABLE} there or in the data set above it, found none"
        raise ValueError(f"{folder}: {expectation}; name it with --participants")
    return table


def _read_values(table: Path, column: str) -> dict[str, str]:
    text = read_text(table, "a table of people", "utf-8-sig")
    delimiter = "," if table.suffix.lower() == ".csv" else "\t"
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="")
    header = list(reader.fieldnames or [])
    person = next((name for name in PEOPLE if name in header), None)
    if person is None or column not in header:
        hint = suggest_name(column, header) if person else ""
        expectation = f"the column {column} and one of {', '.join(PEOPLE)}"
        raise ValueError(f"{table}: expected {expectation}, found {', '.join(header) or 'none'}{hint}")
    values: dict[str, str] = {}
    for row in reader:
        key, value = escape_name((row[person] or "").strip()), (row[column] or "").strip()
        if values.setdefault(key, value) != value:
            raise ValueError(
                f"{table}: expected one {column} of {key}, found {values[key]!r} and {value!r}; a column "
                "scan, in place of the person, tells scans apart"
            )
    return values
