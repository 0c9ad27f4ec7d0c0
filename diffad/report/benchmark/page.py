"""One page that works offline: the outcome of a benchmark in words, tables and pictures."""

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
    "ranking": "Mean ranks of the methods over subjects",
    "cost": "Accuracy against time per slice",
    "pr": "Precision against recall, pixels of all kinds pooled",
    "roc": "True-positive against false-positive rate, pixels of all kinds pooled",
    "dice": "Dice against threshold: the broader the peak, the less an imperfect threshold costs",
}


def render_page(outcome: Outcome, pictures: Mapping[str, bytes]) -> str:
    """Return the page; every text is escaped, every picture part of it."""
    body = [f"<h1>{escape(outcome.name)}</h1>", _render_warnings(outcome), f"<p>{escape(NOTE)}</p>"]
    body += [_render_table(grid) for grid in make_tables(outcome)] or ["<p>There are no results.</p>"]
    body += [_render_picture(caption, pictures.get(name)) for name, caption in CAPTIONS.items()]
    body += [_render_costs(outcome), _render_thumbnails(outcome), _render_settings(outcome)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    title = f"<title>{escape(outcome.name)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}{title}</head><body>{''.join(body)}</body></html>\n"


def _render_warnings(outcome: Outcome) -> str:
    lines = [f"{label} has no results: {reason}" for label, reason in outcome.failures.items()]
    lines += outcome.warnings
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="warn"><p>Please note:</p><ul>{items}</ul></div>' if lines else ""


def _render_table(grid: TextTable) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.head)
    rows = ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<h2>{escape(grid.title)}</h2><div class="wide">{table}</div>'


def _render_picture(caption: str, content: bytes | None) -> str:
    heading = f"<h2>{escape(caption)}</h2>"
    return heading + ("<p>There is nothing to draw.</p>" if content is None else _embed(content, caption))


def _embed(content: bytes, text: str) -> str:
    """Return a PNG as part of the page, with a text for those who cannot see it."""
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{base64.b64encode(content).decode()}">'


def _render_costs(outcome: Outcome) -> str:
    rows = [
        [
            c.method,
            str(c.nfe or "-"),
            f"{c.seconds:.3f}",
            f"{c.parameters / 1e6:.2f} M",
            c.supervision or "-",
            c.backbone or "-",
        ]
        for c in sorted(outcome.costs, key=lambda c: c.seconds)
    ]
    head = [
        "method",
        "network evaluations per slice",
        "seconds per slice",
        "network weights",
        "learned from",
        "features of",
    ]
    return _render_table(TextTable("Costs", head, rows)) if rows else "<p>The costs are not known.</p>"


def _render_thumbnails(outcome: Outcome) -> str:
    figures = []
    for method in order_methods(outcome):
        for path in map(Path, outcome.thumbnails.get(method, [])):
            if path.is_file():
                image = _embed(path.read_bytes(), f"scan, reconstruction and anomaly map of {method}")
                figures.append(f"<figure>{image}<figcaption>{escape(method)}</figcaption></figure>")
    if not figures:
        return "<p>There are no pictures of scans.</p>"
    text = (
        "From top to bottom: scan with the lesion outlined, pseudo-healthy reconstruction (its twin), "
        "anomaly map. Each method's maps have a colour scale of their own."
    )
    return f'<h2>Scans</h2><p>{text}</p><div class="thumbs">{"".join(figures)}</div>'


def _render_settings(outcome: Outcome) -> str:
    settings = json.loads(json.dumps(dict(outcome.settings), default=str))
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    return f"<h2>Settings</h2><pre>{escape(text)}</pre>"
