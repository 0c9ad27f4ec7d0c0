"""The page of a cohort: a table with links to the pages of its scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from diffad.io.atomic import write_text
from diffad.report.montage import NOTICE
from diffad.report.viewer.page import FOLDER, wrap_document

HEADS = ("scan", "picture", "status", "image score", "detected volume (ml)", "detected lesions", "error")


@dataclass(frozen=True)
class IndexRow:
    """One scan of a cohort.

    Args:
        scan: Its name.
        status: "ok" or "failed".
        score: Image score, as text; empty if there is none.
        volume_ml: Volume of all detections, as text.
        lesions: How many; none if unknown.
        page: Its page, relative to the index; empty if there is none.
        picture: Its picture, alike.
        error: Why it failed.
    """

    scan: str
    status: str = "ok"
    score: str = ""
    volume_ml: str = ""
    lesions: int | None = None
    page: str = ""
    picture: str = ""
    error: str = ""


def write_index(rows: Sequence[IndexRow], path: Path, *, title: str) -> Path:
    """Write the page of a cohort; a click on a column head sorts, and a box searches.

    Raises:
        OSError: If the file cannot be written.
    """
    failures = sum(row.status != "ok" for row in rows)
    head = "".join(f'<th aria-sort="none">{escape(h)}</th>' for h in HEADS)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_render_row, rows))}</tbody></table>"
    body = (
        f"<h1>{escape(title)}</h1><p>{len(rows)} scans, {failures} failed.</p>"
        f'<p class="notice">{escape(NOTICE)}</p>'
        '<p><input id="search" type="search" placeholder="Search scans" aria-label="Search scans"></p>'
        f'<div class="wide">{table}</div><script>{(FOLDER / "index.js").read_text(encoding="utf-8")}</script>'
    )
    write_text(path, wrap_document(title, body))
    return path


def _render_row(row: IndexRow) -> str:
    name, page = escape(row.scan), quote(row.page, errors="surrogateescape")
    link = f'<a href="{page}">{name}</a>' if page else name
    image = (
        f'<img loading="lazy" alt="" src="{quote(row.picture, errors="surrogateescape")}">'
        if row.picture
        else ""
    )
    cells = [
        f'<td data-v="{name}">{link}</td>',
        f"<td>{image}</td>",
        f'<td class="text">{escape(row.status)}</td>',
        _render_number(row.score, 4),
        _render_number(row.volume_ml, 2),
        f"<td>{'' if row.lesions is None else row.lesions}</td>",
        f'<td class="error">{escape(row.error)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _render_number(text: str, digits: int) -> str:
    try:
        rounded_text = f"{float(text):.{digits}f}"
    except ValueError:
        rounded_text = text
    return f'<td data-v="{escape(text)}">{escape(rounded_text)}</td>'
