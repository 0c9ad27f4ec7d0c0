"""One page that works offline: everything a benchmark found, in words, tables and pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

import yaml

from diffad.report.benchmark.outcome import Outcome
from diffad.report.benchmark.tables import NOTE, TextTable, make_tables, order_methods

STYLE = """
:root { color-scheme: light dark; --line: #8884; --back: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1, h2 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: Canvas; }
tbody tr:first-child { font-weight: 600; }
img { max-width: 100%; height: auto; background: white; border-radius: .3rem; }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; }
.thumbs img { width: 100%; background: black; }
pre { overflow-x: auto; background: var(--back); padding: .8rem; border-radius: .3rem; font-size: .8rem; }
.warn { border-left: .3rem solid #D55E00; padding-left: .8rem; }
"""
CAPTIONS = {
    "ranking": "Who is best: mean ranks over subjects.",
    "cost": "What it costs.",
    "pr": "Precision against recall, pixels of all kinds pooled.",
    "roc": "True against false positives, pixels of all kinds pooled.",
    "dice": "Dice over thresholds: a broad hill forgives a threshold that is a little off.",
}


def render_page(outcome: Outcome, pictures: Mapping[str, bytes]) -> str:
    """Return the page; every text is escaped, every picture part of it."""
    body = [f"<h1>{escape(outcome.name)}</h1>", _trouble(outcome), f"<p>{escape(NOTE)}</p>"]
    body += [_table(grid) for grid in make_tables(outcome)] or ["<p>There are no figures.</p>"]
    body += [_picture(name, words, pictures) for name, words in CAPTIONS.items()]
    body += [_costs(outcome), _thumbnails(outcome), _settings(outcome)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>{escape(outcome.name)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}{title}</head><body>{''.join(body)}</body></html>\n"


def _trouble(outcome: Outcome) -> str:
    lines = [f"{label} has no figures: {why}" for label, why in outcome.failed.items()]
    lines += outcome.warnings
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="warn"><p>To be known:</p><ul>{items}</ul></div>' if lines else ""


def _table(grid: TextTable) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.head)
    rows = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>{escape(grid.title)}</h2><div class="wide">{table}</div>'


def _picture(name: str, words: str, pictures: Mapping[str, bytes]) -> str:
    if name not in pictures:
        return f"<p>Nothing to draw: {escape(words)}</p>"
    return f"<h2>{escape(words)}</h2>{_image(pictures[name], words)}"


def _image(content: bytes, words: str) -> str:
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'


def _costs(outcome: Outcome) -> str:
    rows = [
        [c.method, str(c.nfe or "-"), f"{c.seconds:.3f}", f"{c.parameters / 1e6:.2f} M"]
        for c in sorted(outcome.costs, key=lambda c: c.seconds)
    ]
    head = ["method", "network evaluations", "seconds per slice", "weights"]
    return _table(TextTable("Costs", head, rows)) if rows else "<p>Costs are not known.</p>"


def _thumbnails(outcome: Outcome) -> str:
    shown = []
    for method in order_methods(outcome):
        for path in map(Path, outcome.thumbnails.get(method, [])):
            if path.is_file():
                image = _image(path.read_bytes(), f"scan, twin and map of {method}")
                shown.append(f"<figure>{image}<figcaption>{escape(method)}</figcaption></figure>")
    if not shown:
        return "<p>There are no pictures of scans.</p>"
    words = "From above: scan with the lesion outlined, twin, map; each map has its own scale."
    return f'<h2>Scans</h2><p>{words}</p><div class="thumbs">{"".join(shown)}</div>'


def _settings(outcome: Outcome) -> str:
    plain = json.loads(json.dumps(dict(outcome.settings), default=str))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return f"<h2>Settings</h2><pre>{escape(text)}</pre>"
