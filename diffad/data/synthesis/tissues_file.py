"""A table of labels and tissues that a user wrote."""

from __future__ import annotations

from pathlib import Path

from diffad.data.items import DataError
from diffad.data.labels import read_rows
from diffad.data.synthesis.tissues import TISSUES, Table
from diffad.io.paths import is_present_file


def read_table(table: Path, root: Path) -> Table:
    """Read the tissue of each label; label 0 is background where nothing is said.

    Args:
        table: CSV with the columns label and tissue.
        root: Folder that its path may be relative to.

    Raises:
        DataError: If the file or a column is missing, a label is no whole number or there twice, or a tissue
            is unknown.
    """
    path = table if is_present_file(table) else root / table
    header, rows = read_rows(path, "tissues")
    if not {"label", "tissue"} <= set(header):
        columns = ", ".join(header) or "an empty file"
        raise DataError(f"{path}: expected the columns label and tissue, found {columns}")
    tissues: dict[int, str] = {}
    for line, row in rows:
        text, tissue, where = row.get("label", ""), row.get("tissue", ""), f"{path}, line {line}"
        if not text.isdecimal():
            raise DataError(f"{where}: expected a label that is a whole number, found {text!r}")
        if tissue not in TISSUES:
            raise DataError(f"{where}: expected a tissue ({', '.join(TISSUES)}), found {tissue!r}")
        if tissues.setdefault(int(text), tissue) != tissue:
            raise DataError(f"{where}: expected one tissue for label {text}, found another in a line before")
    return {0: "background", **tissues}
