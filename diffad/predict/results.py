"""The table of a cohort: one row a scan, on disk after every scan."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from diffad.io.atomic import write_text


@dataclass(frozen=True)
class ResultRow:
    """What became of one scan.

    Args:
        scan: Name of the results.
        status: "ok" or "failed".
        score: Image score.
        volume_ml: Volume of all detections, in ml.
        threshold: Threshold of the detections.
        seconds: Time it took.
        nfe: Network evaluations per slice.
        error: Why it failed.
    """

    scan: str
    status: str
    score: float | str = ""
    volume_ml: float | str = ""
    threshold: float | str = ""
    seconds: float | str = ""
    nfe: int | str = ""
    error: str = ""

    @classmethod
    def from_info(cls, name: str, info: dict[str, Any]) -> ResultRow:
        """Make the row of a finished scan from what is stored with its maps."""
        keys = ("image_score", "anomalous_ml", "threshold", "seconds", "nfe")
        return cls(name, "ok", *(info.get(key, "") for key in keys))


Table = dict[str, dict[str, str]]
"""Rows by scan."""

COLUMNS = [f.name for f in fields(ResultRow)]


class Results:
    """The file ``results.csv``; rows of earlier runs stay.

    Args:
        path: The file; made with the first row.

    Raises:
        ValueError: If the file is there and is another table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: Table = _read_table(path) if path.exists() else {}

    def add(self, row: ResultRow) -> None:
        """Add or replace a row and write the table, whole or not at all, if that changes it."""
        values = {key: "" if v is None else str(v) for key, v in asdict(row).items()}
        if self.rows.get(row.scan) != values:
            self.rows[row.scan] = values
            write_text(self.path, self._format_csv())

    def merge(self, others: Sequence[Path], order: Sequence[str] = ()) -> None:
        """Take in the tables of other processes, bring the rows in order, and remove those tables.

        Args:
            others: Files; one that cannot be read is left out, as its scans will be told again.
            order: Names of the scans; rows of other scans go first.

        Raises:
            OSError: If the table cannot be written.
        """
        before = list(self.rows.items())
        for path in others:
            with suppress(ValueError, OSError):
                self.rows |= _read_table(path)
        place = {name: index for index, name in enumerate(order)}
        self.rows = dict(sorted(self.rows.items(), key=lambda row: place.get(row[0], -1)))
        if list(self.rows.items()) != before:
            write_text(self.path, self._format_csv())
        for path in others:
            path.unlink(missing_ok=True)

    def _format_csv(self) -> str:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows.values())
        return text.getvalue()


def _read_table(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            rows, columns = list(table), table.fieldnames
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected a table of results, found an unreadable one ({error})") from error
    if columns != COLUMNS:
        raise ValueError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(columns or [])}"
        )
    return {row["scan"]: row for row in rows}
