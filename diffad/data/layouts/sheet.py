"""Tables beside a data set; one that cannot be read is a problem and no error."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from diffad.io.text import read_text


def read_sheet(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Return the rows of a CSV by column names in lower case, and a line if it cannot be read."""
    try:
        text = read_text(path, "a CSV", "utf-8-sig")
        table = [_clean_row(row) for row in csv.DictReader(io.StringIO(text, newline=""))]
    except (OSError, ValueError, csv.Error) as error:
        return [], [f"{path}: expected a CSV in UTF-8, found {error}"]
    return table, []


def _clean_row(row: dict[str | None, object]) -> dict[str, str]:
    # surplus cells are in a list under no name, and missing ones are none
    cells = ((key, value) for key, value in row.items() if key is not None)
    return {key.strip().lower(): value.strip() if isinstance(value, str) else "" for key, value in cells}
