"""The page of a comparison: what came out, both visits side by side, the table, and what noise gives."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from diffad.follow_up.changes import FindingChange
from diffad.follow_up.comparison import Comparison
from diffad.follow_up.picture import FollowUpPicture, choose_change_place
from diffad.follow_up.tiles import COLOURS
from diffad.follow_up.wording import (
    EXPLANATION,
    LEGEND,
    describe_certainty,
    explain_noise,
    list_comparison_facts,
    name_change,
)
from diffad.report.montage import NOTICE
from diffad.report.viewer.page import wrap_document
from diffad.report.viewer.top import render_warnings

MOST_STRIPS = 12
"""Changes that get a picture of their own."""
COLUMNS: dict[str, Callable[[FindingChange], str]] = {
    "#": lambda c: str(c.number),
    "what": lambda c: f"{c.status}{'' if c.kind == 'one' else f' ({c.kind})'}",
    "beyond re-scan noise": describe_certainty,
    "visit 1 (ml)": lambda c: f"{c.first_ml:.2f}",
    "visit 2 (ml)": lambda c: f"{c.second_ml:.2f}",
    "change (ml)": lambda c: f"{c.change_ml:+.2f}",
    "change (%)": lambda c: "" if c.change_percent is None else f"{c.change_percent:+.0f}",
    "peak 1": lambda c: f"{c.first_peak:.3g}",
    "peak 2": lambda c: f"{c.second_peak:.3g}",
    "centre (mm)": lambda c: ", ".join(f"{v:.0f}" for v in c.centre_mm),
    "place": lambda c: c.place or "not known",
}
"""Columns of the table by head."""


def render_comparison(
    comparison: Comparison, picture: bytes, record: Mapping[str, Any], links: Mapping[str, str]
) -> str:
    """Return the page, whole in one file.

    Args:
        comparison: The comparison.
        picture: Three planes through its largest change, as PNG.
        record: What is stored of it.
        links: Other pages by name, relative.
    """
    navigation = " · ".join(f'<a href="{escape(to)}">{escape(name)}</a>' for name, to in links.items())
    facts = list_comparison_facts(comparison)
    items = "".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in facts[1:])
    noise = "".join(f"<li>{escape(line)}</li>" for line in explain_noise(comparison.noise))
    settings = escape(json.dumps(record, indent=1))
    title = f"{comparison.visits[0].path.name} and {comparison.visits[1].path.name}"
    body = [
        f"<nav>{navigation}</nav><h1>{escape(title)}</h1><dl class=facts>{items}</dl>",
        f"<p class=verdict><b>Result:</b> {escape(facts[0][1])}.</p>",
        render_warnings(comparison.warnings),
        f'<p class="notice">{escape(NOTICE)}</p>',
        f"<h2>Both visits at the place of the largest change</h2>{_embed(picture, 'Both visits')}",
        f"<p><small>{escape(LEGEND)} Outlines have the colours of the table.</small></p>",
        f"<h2>Changes</h2>{_render_table(comparison)}",
        f"<h2>What re-scanning alone gives</h2><ul>{noise}</ul>",
        f"<p><small>{escape(EXPLANATION)}</small></p>",
        _render_strips(comparison),
        f"<details><summary>Settings and files</summary><pre>{settings}</pre></details>",
    ]
    return wrap_document(title, "".join(body))


def _embed(picture: bytes, words: str) -> str:
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    return f'<img class="picture" alt="{escape(words)}" src="{source}">'


def _render_table(comparison: Comparison) -> str:
    if not comparison.changes:
        return "<p>Nothing was detected at either visit.</p>"
    heads = "".join(f"<th{_name_class(head)}>{escape(head)}</th>" for head in COLUMNS)
    rows = "".join(_render_row(change) for change in comparison.changes)
    note = (
        "Peaks are the highest values of each visit's map in the finding, detected there or not; the "
        f"threshold is {comparison.visits[0].threshold:.3g} and {comparison.visits[1].threshold:.3g}. "
        "Centres are those of the space halfway between the visits; changes.csv has those of each visit, too."
    )
    return (
        f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<p><small>{escape(note)}</small></p>"
    )


def _render_row(change: FindingChange) -> str:
    cells = []
    for head, text in COLUMNS.items():
        colour = f' style="border-left: .4rem solid {COLOURS[change.status]}"' if head == "what" else ""
        cells.append(f"<td{_name_class(head)}{colour}>{escape(text(change))}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _name_class(head: str) -> str:
    if head == "place":
        return ' class="place"'
    return ' class="text"' if head in ("what", "beyond re-scan noise") else ""


def _render_strips(comparison: Comparison) -> str:
    """Return an axial plane through each of the largest changes."""
    changes = comparison.changes[:MOST_STRIPS]
    if not changes:
        return ""
    drawer, parts = FollowUpPicture(comparison), []
    for change in changes:
        picture = drawer.draw([(2, choose_change_place(comparison, change)[2])])
        words = f"{name_change(change)}: {change.first_ml:.2f} to {change.second_ml:.2f} ml"
        parts.append(f"<p><b>{escape(words)}</b></p>{_embed(picture, words)}")
    rest = len(comparison.changes) - len(changes)
    note = f"<p><small>and {rest} smaller ones</small></p>" if rest else ""
    return f"<h2>Change by change</h2>{''.join(parts)}{note}"
