"""The top of a page: which model looked at what, what to make of it, and what must be known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from diffad.inference.headline import list_headlines
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import NOTICE, describe_result
from diffad.report.viewer.detection_rates import read_silence

KINDS = {
    "nothing": "calm",
    "detections": "",
    "unusual": "",
    "not credible": "warning",
    "poor scan": "warning",
}
"""Class of the line that says the result, by its verdict."""
NO_ALL_CLEAR = " That is no all-clear: what this model misses is said below, under What this model finds."
"""Said after a calm result."""


def render_top(out: AnomalyOutput, title: str, links: Mapping[str, str]) -> str:
    """Return links, title, headlines, warnings and notice.

    Args:
        out: Result for a volume.
        title: Name of the scan.
        links: Other pages by name, relative.
    """
    navigation = " · ".join(
        f'<a href="{quote(to, errors="surrogateescape")}">{escape(name)}</a>' for name, to in links.items()
    )
    return (
        f"<nav>{navigation}</nav><h1>{escape(title)}</h1>{_render_headlines(out.info)}"
        f"{render_warnings(out.info.get('warnings', []))}<p>{escape(describe_result(out))}</p>"
        f'<p class="notice">{escape(NOTICE)}</p>'
        '<noscript><p class="notice">The viewer needs JavaScript; '
        "the static picture below does not.</p></noscript>"
        '<p id="trouble"></p>'
    )


def _render_headlines(info: Mapping[str, Any]) -> str:
    rows = list_headlines(info)
    if not rows:
        return ""
    *facts, (label, verdict) = rows
    silence = read_silence(info)
    note = f" {silence}" if silence else ""
    note += NO_ALL_CLEAR if info.get("verdict") == "nothing" else ""
    kind = KINDS.get(str(info.get("verdict")), "")
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    text = f"{verdict[:1].upper()}{verdict[1:]}.{note}"
    return (
        f'<dl class="facts">{items}</dl><p class="verdict {kind}"><b>{escape(label)}:</b> {escape(text)}</p>'
    )


def render_warnings(warnings: Sequence[str]) -> str:
    """Return what must be known before the page is read; nothing where there is nothing."""
    items = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    return f'<div class="notice warning">Please note:<ul>{items}</ul></div>' if items else ""
