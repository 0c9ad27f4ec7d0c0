"""The page of a cohort's group maps: pictures, regions, scans, and what was left out."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from diffad.group.regions import describe_region
from diffad.group.run import GroupMaps
from diffad.group.scans import GroupSelection
from diffad.io.atomic import write_text
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.prepare.template import load_mni152
from diffad.report.montage import NOTICE
from diffad.report.viewer.page import FOLDER, wrap_document
from diffad.report.viewer.top import render_warnings

SHOWN_REGIONS = 12
"""Regions of a group that a page shows; the table has all."""
READING = (
    "A share says in how many of the scans that were analysed at a place something was detected there; in a "
    "region one voxel is enough. No person has judged the detections, and groups are not compared by a test. "
    "Volumes in ml are measured on each scan's own grid, in results.csv, and not in these maps."
)


def write_group_page(
    path: Path,
    groups: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, bytes],
    selection: GroupSelection,
    warnings: Sequence[str],
) -> None:
    """Write the page.

    Args:
        path: File to write, whole or not at all.
        groups: What ``describe_group`` says of each group.
        pictures: Overlap of each group as PNG, by the first part of the names of its files.
        selection: Scans that went in and those left out.
        warnings: What should be known first.

    Raises:
        OSError: If the file cannot be written.
    """
    model = selection.scans[0].model if selection.scans else ""
    parts = [
        "<h1>Group maps</h1>",
        f"<p>{count_scans(len(selection.scans))} by {escape(model)}, in {escape(TEMPLATE_SPACE)}.</p>",
        render_warnings(warnings),
        f'<p class="notice">{escape(NOTICE)}</p><p>{escape(READING)}</p>',
        *(_render_group(group, pictures[group["slug"]]) for group in groups),
        f"<h2>Scans that were left out</h2>{_render_left_out(selection)}",
        _render_scans(groups),
        f"<script>{(FOLDER / 'table.js').read_text(encoding='utf-8')}</script>",
    ]
    write_text(path, wrap_document("Group maps", "".join(parts)))


def describe_group(group: GroupMaps) -> dict[str, Any]:
    """Return what page and record say of a group, without its maps."""
    sums = group.sums
    known_mask, voxel_ml = sums.count >= sums.least_drawn, load_mni152().grid.voxel_ml
    highest = float(sums.overlap[known_mask].max()) if known_mask.any() else 0.0
    facts: dict[str, Any] = {"name": group.name, "slug": group.slug, "n": sums.scans, "scans": group.scans}
    facts |= {"analysed_ml": round(int(known_mask.sum()) * voxel_ml, 1), "highest_share": round(highest, 6)}
    rows = group.regions.list_rows(group.name, sums.least_drawn)
    return facts | {"least_analysed": sums.least_drawn, "regions": rows}


def count_scans(count: int) -> str:
    """Return a number of scans in words."""
    return f"{count} scan{'' if count == 1 else 's'}"


def _render_group(group: Mapping[str, Any], picture: bytes) -> str:
    slug, files = str(group["slug"]), ("mean", "sd", "overlap", "n")
    links = ", ".join(f'<a href="{quote(f"{slug}_{kind}.nii.gz")}">{kind}</a>' for kind in files)
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    facts = f"{count_scans(group['n'])}; the highest share of scans with a detection at one voxel is "
    facts += (
        f"{100 * group['highest_share']:.0f} %; {group['analysed_ml']:.0f} ml of the template were analysed "
    )
    facts += f"in at least {group['least_analysed']} of them"
    return (
        f"<h2>{escape(str(group['name']))}</h2><p>{escape(facts)}. Maps: {links}.</p>"
        f'<img class="picture" alt="Overlap of detections on the template" src="{source}">'
        f"{_render_regions(group['regions'], group['least_analysed'])}"
    )


def _render_regions(rows: Sequence[dict[str, Any]], least: int) -> str:
    top_rows = [row for row in rows if row["share"] and row["analysed"] >= least][:SHOWN_REGIONS]
    if not top_rows:
        return f"<p>No region that was analysed in at least {count_scans(least)} has a detection in any.</p>"
    head = _render_heads("region", "scans with a detection", "scans analysed", "share")
    body = "".join(
        f'<tr><td class="text">{escape(describe_region(row))}</td><td>{row["detected"]}</td>'
        f"<td>{row['analysed']}</td><td>{100 * row['share']:.0f} %</td></tr>"
        for row in top_rows
    )
    limits = (
        f"{len(top_rows)} regions with the largest shares, of those analysed in at least {count_scans(least)}"
    )
    note = f"<p>The {limits}; regions.tsv has all.</p>"
    return f'{note}<div class="wide"><table class="sortable">{head}<tbody>{body}</tbody></table></div>'


def _render_left_out(selection: GroupSelection) -> str:
    if not selection.left_out:
        return "<p>None.</p>"
    items = "".join(
        f"<li>{len(names)} {escape(reason)}: {escape(', '.join(names))}</li>"
        for reason, names in selection.count_left_out()
    )
    return f"<ul>{items}</ul>"


def _render_scans(groups: Sequence[Mapping[str, Any]]) -> str:
    items = "".join(
        f"<p><b>{escape(str(group['name']))}</b>: {escape(', '.join(group['scans']))}</p>" for group in groups
    )
    return f"<details><summary>Scans of each group</summary>{items}</details>"


def _render_heads(*names: str) -> str:
    cells = "".join(f'<th aria-sort="none" tabindex="0">{escape(name)}</th>' for name in names)
    return f"<thead><tr>{cells}</tr></thead>"
