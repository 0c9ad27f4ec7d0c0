"""Names that others chose, shown so that they cannot pretend to be anything but a name."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def escape_text(text: str, keep: str = "") -> str:
    r"""Show every character that is no letter, sign or space by its number, as Python writes it.

    These are control characters (a terminal obeys them), line ends (they forge lines), marks that turn the
    direction of writing round, and the bytes of a name that is no text: ``a\x1b[2J`` becomes ``a\\x1b[2J``.

    Args:
        text: Any text.
        keep: Characters that may stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def escape_name(name: str) -> str:
    r"""Show a name as ``escape_text`` does, so that no two names look the same: ``\`` is doubled."""
    return escape_text(name.replace("\\", "\\\\"))


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def format_csv(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], delimiter: str = ",", header: bool = True
) -> str:
    """Format a table whose cells are safe in spreadsheets and terminals.

    Text that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets mark text;
    characters that cannot be printed are shown by number.

    Args:
        columns: Names of the columns, in order.
        rows: Values by column; a missing one is an empty cell.
        delimiter: Sign between cells.
        header: Whether the first line names the columns.

    Raises:
        ValueError: If a row has a value for no column.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator="\n")
    if header:
        table.writeheader()
    for row in rows:
        table.writerow({key: guard_cell(value) for key, value in row.items()})
    return text.getvalue()


def guard_cell(value: Any) -> Any:
    """Make text safe as a cell; anything else, and text that is a number, stays."""
    if not isinstance(value, str):
        return value
    text = escape_text(value)
    is_formula = _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def unguard_cell(text: str) -> str:
    """Take the apostrophe away that ``guard_cell`` put before text."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
