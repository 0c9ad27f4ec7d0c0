"""The outcome of a benchmark as tables, pictures and one page."""

from __future__ import annotations

from pathlib import Path

from diffad.io.atomic import write_bytes, write_text
from diffad.report.benchmark import page, tables
from diffad.report.benchmark.outcome import Outcome
from diffad.report.benchmark.pictures import draw_pictures


def write_report(outcome: Outcome, out: Path) -> Path:
    """Write table.md, the pictures and index.html, each whole or not at all; return the page.

    Raises:
        OSError: If a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "table.md", tables.format_markdown(outcome))
    pictures = draw_pictures(outcome)
    for name, content in pictures.items():
        write_bytes(out / f"{name}.png", content)
    write_text(out / "index.html", page.render_page(outcome, pictures))
    return out / "index.html"
