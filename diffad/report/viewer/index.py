"""The page of a cohort: a table with links to the pages of its scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from diffad.io.atomic import write_text
from diffad.report.montage import NOTICE
from diffad.report.thumbnail import TileRow
from diffad.report.viewer.page import FOLDER, wrap_document

HEADS = {
    "scan": False,
    "picture": False,
    "result": True,
    "analysed": True,
    "flagged": True,
    "p of the scan": False,
    "image score": False,
    "detected volume (ml)": False,
    "detections": False,
    "warnings and errors": True,
}
"""Heads of the columns, and whether they hold sentences."""
THUMBNAIL = 190
"""Width of a small picture, in pixels."""
VERDICTS = {
    "nothing": "with nothing above what healthy scans show",
    "detections": "with detections, which no person has judged",
    "unusual": "unlike healthy scans, without a detection",
    "not credible": "not credible",
    "poor scan": "not judged, as the scan is poor",
}
"""What is said of a scan, by its verdict."""


@dataclass(frozen=True)
class IndexRow:
    """One scan of a cohort.

    Args:
        scan: Its name.
        status: "ok" or "failed".
        score: Image score, as text; empty if there is none.
        volume_ml: Volume of all detections, as text.
        lesions: How many detections; none if unknown.
        page: Its page, relative to the index; empty if there is none.
        picture: Its picture, alike.
        error: Why it failed.
        verdict: What the result amounts to, see ``VERDICTS``; empty where it is unknown.
        model: The model, and what it knows.
        coverage: How much of the scan was analysed.
        flagged_share: How much of that is flagged.
        p_value: That of the whole scan, as text; empty if there is none.
        domain: "inside" or "outside" what the model knows, or "unknown".
        warnings: What should be known of the result, in sentences.
        tiles: Where in the picture a row of tiles lies; none where it does not say.
    """

    scan: str
    status: str = "ok"
    score: str = ""
    volume_ml: str = ""
    lesions: int | None = None
    page: str = ""
    picture: str = ""
    error: str = ""
    verdict: str = ""
    model: str = ""
    coverage: str = ""
    flagged_share: str = ""
    p_value: str = ""
    domain: str = ""
    warnings: Sequence[str] = ()
    tiles: TileRow | None = None

    @property
    def is_outside(self) -> bool:
        """Whether the scan, or its result, is outside what the model knows."""
        return self.domain == "outside"

    def describe_status(self) -> str:
        """Say what became of the scan."""
        if self.status != "ok":
            return self.status
        note = "outside what the model knows: " if self.is_outside else ""
        return note + VERDICTS.get(self.verdict, "done")


def write_index(rows: Sequence[IndexRow], path: Path, *, title: str) -> Path:
    """Write the page of a cohort; a click on a column head sorts, and a box searches.

    Raises:
        OSError: If the file cannot be written.
    """
    heads = "".join(
        f'<th aria-sort="none" tabindex="0"{" class=text" if is_text else ""}>{escape(head)}</th>'
        for head, is_text in HEADS.items()
    )
    body = "".join(map(_render_row, rows))
    table = f'<table class="sortable index"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    scripts = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("table.js", "index.js"))
    text = (
        f"<h1>{escape(title)}</h1><p>{escape(_summarise(rows))}</p>{_render_models(rows)}"
        f'<p class="notice">{escape(NOTICE)}</p>'
        '<p><input id="search" type="search" placeholder="Search scans" aria-label="Search scans"></p>'
        f'<div class="wide">{table}</div><script>{scripts}</script>'
    )
    write_text(path, wrap_document(title, text))
    return path


def _summarise(rows: Sequence[IndexRow]) -> str:
    """Count what became of the scans."""
    results = [row for row in rows if row.status == "ok"]
    counts = {"failed": len(rows) - len(results)}
    counts["outside what the model knows"] = sum(row.is_outside for row in results)
    counts["with warnings"] = sum(bool(row.warnings) for row in results)
    counts |= {text: sum(row.verdict == kind for row in results) for kind, text in VERDICTS.items()}
    always = ("failed", "with warnings")
    parts = [f"{count} {text}" for text, count in counts.items() if count or text in always]
    return f"{len(rows)} scan{'' if len(rows) == 1 else 's'}: {'; '.join(parts)}."


def _render_models(rows: Sequence[IndexRow]) -> str:
    models = dict.fromkeys(row.model for row in rows if row.model)
    return "".join(f"<p><b>Model:</b> {escape(text)}.</p>" for text in models)


def _render_row(row: IndexRow) -> str:
    name, page = escape(row.scan), quote(row.page, errors="surrogateescape")
    link = f'<a href="{page}">{name}</a>' if page else name
    bad = (
        " bad" if row.status != "ok" or row.is_outside or row.verdict in ("not credible", "poor scan") else ""
    )
    cells = [
        f'<td class="text" data-v="{name}">{link}</td>',
        f"<td>{_render_picture(row)}</td>",
        f'<td class="text{bad}">{escape(row.describe_status())}</td>',
        f'<td class="text">{escape(row.coverage)}</td>',
        f'<td class="text">{escape(row.flagged_share)}</td>',
        _render_number(row.p_value, 3),
        _render_number(row.score, 4),
        _render_number(row.volume_ml, 2),
        f"<td>{'' if row.lesions is None else row.lesions}</td>",
        f'<td class="text prose">{_render_notes(row)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _render_notes(row: IndexRow) -> str:
    notes = [*([row.error] if row.error else []), *row.warnings]
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else "none"


def _render_picture(row: IndexRow) -> str:
    """Show the row of tiles alone, without the labels around it; of an older picture a link."""
    if not row.picture:
        return ""
    source = quote(row.picture, errors="surrogateescape")
    if row.tiles is None:
        return f'<a href="{source}">picture</a>'
    frame, picture = row.tiles.style(THUMBNAIL)
    image = f'<img loading="lazy" alt="" style="{picture}" src="{source}">'
    return f'<div class="thumb" style="{frame}">{image}</div>'


def _render_number(text: str, digits: int) -> str:
    try:
        rounded_text = f"{float(text):.{digits}f}"
    except ValueError:
        rounded_text = text
    return f'<td data-v="{escape(text)}">{escape(rounded_text)}</td>'
