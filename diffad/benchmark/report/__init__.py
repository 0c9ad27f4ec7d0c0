"""What a benchmark found, as tables, pictures and one page."""

from __future__ import annotations

from pathlib import Path

from diffad.benchmark.outcome import Outcome
from diffad.benchmark.report import page, tables
from diffad.benchmark.report.pictures import drawn
from diffad.output import write_bytes, write_text


def write(outcome: Outcome, out: Path) -> Path:
    """Write table.md, the pictures and index.html, each whole or not at all; return the page.

    Raises:
        OSError: If a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "table.md", tables.markdown(outcome))
    pictures = drawn(outcome)
    for name, content in pictures.items():
        write_bytes(out / f"{name}.png", content)
    write_text(out / "index.html", page.html(outcome, pictures))
    return out / "index.html"
