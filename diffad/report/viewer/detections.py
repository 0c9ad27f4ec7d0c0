"""The table of detections on a page: what each is, in which order, and what its numbers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from diffad.data.volume import Array
from diffad.inference.lesions import Lesion, describe_place
from diffad.report.places import explain_places

Cell = Callable[[Lesion], str]


def _join(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.1f}" for v in values)


def _format_volume(lesion: Lesion) -> str:
    volume_ml = lesion.volume_ml
    return f"{volume_ml:.2f}" if volume_ml >= 0.01 else f"{volume_ml:.1g}"


COLUMNS: dict[str, tuple[Cell, Cell | None]] = {
    "#": (lambda d: str(d.number), lambda d: str(d.number)),
    "place": (describe_place, describe_place),
    "volume (ml)": (_format_volume, lambda d: str(d.volume_ml)),
    "centre (mm)": (lambda d: _join(d.centre_mm), None),
    "centre (voxel)": (lambda d: _join(d.centre_voxel), None),
    "extent (mm)": (lambda d: _join(d.extent_mm), None),
    "mean": (lambda d: f"{d.mean:.3g}", lambda d: str(d.mean)),
    "peak": (lambda d: f"{d.peak:.3g}", lambda d: str(d.peak)),
}
"""Columns by head: the text of a cell, and what it is sorted by; none of a column that is not sorted. The
p-value, whose text depends on the model, comes last."""
ORDER = (
    'Sorted by evidence: the highest peak of the map first. <span class="order">Click the head of a column '
    "to sort by it, such as by volume; click a row to move the crosshair to its peak.</span>"
)


def render_detections(lesions: Sequence[Lesion], info: Mapping[str, Any], affine: Array) -> str:
    """Return the table of detections, or that there is none.

    Args:
        lesions: The detections, the highest peak first.
        info: What is stored of the result.
        affine: Voxel to world matrix of the file, (4, 4), in mm.
    """
    if not lesions:
        return "<p>Nothing was detected at this threshold.</p>"
    floor = _read_floor(info)
    keys = {head: sort is not None for head, (_, sort) in COLUMNS.items()} | {"p": True}
    heads = "".join(_render_head(head, sorts) for head, sorts in keys.items())
    rows = "".join(_render_row(lesion, floor, affine) for lesion in lesions)
    table = f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    note = f"<p><small>{escape(explain_p(info))} {escape(explain_places(info))}</small></p>"
    return f'<p><small>{ORDER}</small></p><div class="wide">{table}</div>{note}'


def _render_head(head: str, sorts: bool) -> str:
    kind = " class=place" if head == "place" else ""
    state = f' aria-sort="{"ascending" if head == "#" else "none"}" tabindex="0"' if sorts else ""
    return f"<th{kind}{state}>{escape(head)}</th>"


def _render_row(lesion: Lesion, floor: float | None, affine: Array) -> str:
    x, y, z = (affine[:3, :3] @ lesion.peak_voxel + affine[:3, 3]).round(4)  # the centre may lie outside it
    cells = []
    for text, sort in COLUMNS.values():
        key = f' data-v="{escape(sort(lesion))}"' if sort else ""
        kind = " class=place" if text is describe_place else ""
        cells.append(f"<td{kind}{key}>{escape(text(lesion))}</td>")
    p_value = "" if lesion.p_value is None else str(lesion.p_value)
    cells.append(f'<td data-v="{p_value}">{_format_p(lesion.p_value, floor)}</td>')
    return f'<tr tabindex="0" data-x="{x}" data-y="{y}" data-z="{z}">{"".join(cells)}</tr>'


def _format_p(p_value: float | None, floor: float | None) -> str:
    if p_value is None:
        return ""
    is_least = floor is not None and f"{p_value:.2g}" == f"{floor:.2g}"
    return f"{'&le; ' if is_least else ''}{p_value:.2g}"


def _read_floor(info: Mapping[str, Any]) -> float | None:
    values = info.get("p_values")
    return float(values["floor"]) if isinstance(values, Mapping) and "floor" in values else None


def explain_p(info: Mapping[str, Any]) -> str:
    """Say in a line or two what the p-values of detections mean, and below what they cannot go.

    Args:
        info: What is stored of the result.
    """
    floor = _read_floor(info)
    if floor is None:
        return (
            "There are no p-values, as this model, or these maps, have no healthy scans to be compared with."
        )
    scans = int(info["p_values"]["scans"])
    return (
        "p: how often a voxel of a healthy scan scores at least as high as the highest of the detection, not "
        f"corrected for the number of voxels. It comes from {scans} healthy scans and cannot go below "
        f"1/{scans + 1} = {floor:.2g}: rows that show &le; {floor:.2g} tie, whatever their evidence.".replace(
            "&le;", "≤"
        )
    )
