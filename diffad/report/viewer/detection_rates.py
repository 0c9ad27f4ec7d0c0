"""What a page says of a model's sensitivity: a table by size of lesions, or that nobody measured it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from html import escape
from typing import Any

from diffad.threshold.detection_rates import (
    NO_RATES,
    DetectionRate,
    choose_rates,
    describe_silence,
    format_shares,
)

NOTE = (
    "A lesion counts as found where detections cover at least a tenth of it. In brackets the share of "
    "the voxels of these lesions above the threshold. Implanted lesions are drawn into healthy scans, and "
    "are easier or harder than those of patients; where no row says real, nobody has measured real ones. "
    "Where much is flagged, small lesions are found by chance."
)


def render_detection_rates(info: Mapping[str, Any]) -> str:
    """Return the table of a result's model, or the sentence that there is none.

    Args:
        info: What is stored of the result.
    """
    rows = _read_rows(info)
    if not rows:
        return f"<p>{escape(NO_RATES)}</p>"
    rates = choose_rates(rows)
    heads = ["lesions", "size", "number", *(f"found at {100 * rate:g} % of healthy voxels" for rate in rates)]
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = []
    for origin, low in dict.fromkeys((row.origin, row.low_ml) for row in rows):
        group = {row.rate: row for row in rows if (row.origin, row.low_ml) == (origin, low)}
        first = next(iter(group.values()))
        cells = [origin, first.size, str(first.lesions), *(format_shares(group.get(rate)) for rate in rates)]
        body.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    silence = read_silence(info)
    note = f'<p class="notice warning">{escape(silence)}</p>' if silence else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'{note}<div class="wide">{table}</div><p><small>{escape(NOTE)}</small></p>'


def read_silence(info: Mapping[str, Any]) -> str:
    """Say so if the model of a result finds next to nothing at its threshold; empty if it finds some."""
    fpr = info.get("config", {}).get("postprocess", {}).get("fpr")
    return describe_silence(_read_rows(info), float(fpr)) if fpr is not None else ""


def _read_rows(info: Mapping[str, Any]) -> list[DetectionRate]:
    """Read what is stored; nothing where it is of another form, as a page must not fail by it."""
    names = {field.name for field in fields(DetectionRate)}
    rows = info.get("detection_rates") or []
    return [DetectionRate(**row) for row in rows if isinstance(row, dict) and set(row) == names]
