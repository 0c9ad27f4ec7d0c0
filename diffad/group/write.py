"""The folder of group maps: maps, tables, pictures, a record and a page, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from diffad.group.figure import draw_overlap
from diffad.group.page import describe_group, write_group_page
from diffad.group.regions import COLUMNS
from diffad.group.run import ALL, GroupMaps, GroupOptions, choose_groups, select, slugify, sum_scans
from diffad.group.scans import GroupSelection
from diffad.io.atomic import staged_folder, write_bytes, write_text
from diffad.io.digests import RECORD as DIGESTS
from diffad.io.digests import write_digests
from diffad.io.escape import format_csv
from diffad.io.search import list_names
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.io.terminal import Progress, say
from diffad.io.text import read_json
from diffad.io.version import __version__
from diffad.prepare.to_template import make_template_volume

RECORD = "group.json"
"""What is stored of a run; a folder that has it is one of group maps."""


def write_groups(options: GroupOptions, out: Path) -> dict[str, Any]:
    """Sum up the scans of a folder of results, and write the maps of all and of each group.

    Memory holds the sums of two groups and one scan, however many scans there are. The folder is written
    aside and takes the place of an earlier one at the end.

    Args:
        options: Which scans, and by what they are grouped.
        out: Folder of the group maps: new, empty, or one of group maps.

    Returns:
        What is stored of the run.

    Raises:
        ValueError: If there are no scans, or their models or settings differ, or ``out`` is another folder.
        OSError: If a file cannot be written.
    """
    _check_folder(out, options.folder)
    selection = select(options)
    groups = choose_groups(options, selection)
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with staged_folder(out) as folder:
        group_facts, pictures, warnings = _sum_groups(options, groups, selection, folder)
        write_text(folder / "regions.tsv", _format_regions(group_facts))
        write_text(folder / "scans.tsv", _format_scans(group_facts, selection))
        record = _make_record(options, group_facts, selection, warnings)
        write_text(folder / RECORD, json.dumps(record, indent=1))
        write_group_page(folder / "index.html", group_facts, pictures, selection, warnings)
        write_digests(folder, [path for path in folder.iterdir() if path.is_file()])
    return record


def _sum_groups(
    options: GroupOptions, groups: Mapping[str, Any], selection: GroupSelection, folder: Path
) -> tuple[list[dict[str, Any]], dict[str, bytes], list[str]]:
    """Sum up and write one group after the other, and all of them together at the end."""
    everyone, group_facts = GroupMaps.begin(ALL, ALL), list[dict[str, Any]]()
    pictures, warnings = dict[str, bytes](), list(selection.notes)
    member_names = {scan.name for scans in groups.values() for scan in scans}
    rest = [scan for scan in selection.scans if scan.name not in member_names]
    slugs = slugify(options.by, list(groups))
    with Progress(len(selection.scans)) as progress:
        for value, scans in groups.items():
            group = GroupMaps.begin(f"{options.by}: {value}", slugs[value])
            sum_scans(group, scans, selection, progress)
            group_facts.append(_write_group(group, folder, pictures, warnings))
            everyone.merge(group)
        sum_scans(everyone, rest, selection, progress)
    if not everyone.scans:
        raise ValueError(f"{options.folder}: expected maps in the template that can be read, found none")
    group_facts.insert(0, _write_group(everyone, folder, pictures, warnings))
    for text in warnings:
        say(f"warning: {text}")
    return group_facts, pictures, warnings


def _write_group(
    group: GroupMaps, folder: Path, pictures: dict[str, bytes], warnings: list[str]
) -> dict[str, Any]:
    template, sums = make_template_volume(), group.sums
    maps = {"mean": sums.mean, "sd": sums.deviation, "overlap": sums.overlap}
    for kind, values in maps.items():
        template.save(values.astype(np.float32), folder / f"{group.slug}_{kind}.nii.gz")
    template.save(sums.count, folder / f"{group.slug}_n.nii.gz", np.int32)
    picture = pictures[group.slug] = draw_overlap(sums, group.name)
    write_bytes(folder / f"{group.slug}_overlap.png", picture)
    warnings += group.list_warnings()
    return describe_group(group)


def _check_folder(out: Path, results: Path) -> None:
    if out.absolute() == results.absolute():
        raise ValueError(f"{out}: expected another folder than that of the results")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: expected a folder, found a file")
    if strangers := _list_strangers(out) if out.is_dir() else []:
        expectation = f"{out}: expected a new folder, or one of group maps alone"
        raise ValueError(f"{expectation}, found other files in it: {list_names(strangers)}")


def _list_strangers(out: Path) -> list[str]:
    """Return what lies in a folder beside the group maps that were written there."""
    own_names = {DIGESTS}
    if (out / RECORD).is_file() and (out / DIGESTS).is_file():
        own_names |= set(read_json(out / DIGESTS, "the digests of group maps"))
    return sorted(path.name for path in out.iterdir() if path.name not in own_names)


def _format_regions(groups: Sequence[Mapping[str, Any]]) -> str:
    rows = [row for group in groups for row in group["regions"]]
    cells = [{k: "n/a" if v is None else v for k, v in row.items()} for row in rows]
    return format_csv(COLUMNS, cells, delimiter="\t")


def _format_scans(groups: Sequence[Mapping[str, Any]], selection: GroupSelection) -> str:
    owners = {scan: group["name"] for group in reversed(groups) for scan in group["scans"]}
    owners |= {scan: group["name"] for group in groups[1:] for scan in group["scans"]}
    rows = [{"scan": scan, "group": group, "left_out": ""} for scan, group in owners.items()]
    rows += [{"scan": scan, "group": "", "left_out": why} for scan, why in selection.left_out.items()]
    table = sorted(rows, key=lambda row: row["scan"])
    return format_csv(("scan", "group", "left_out"), table, delimiter="\t")


def _make_record(
    options: GroupOptions,
    groups: Sequence[Mapping[str, Any]],
    selection: GroupSelection,
    warnings: Sequence[str],
) -> dict[str, Any]:
    choices = asdict(options)
    choices |= {k: str(v) for k, v in choices.items() if isinstance(v, Path)} | choices.pop("scan_filter")
    summaries = [{k: v for k, v in group.items() if k != "regions"} for group in groups]
    model = {"name": selection.scans[0].model, "settings": selection.scans[0].settings}
    record: dict[str, Any] = {
        "space": TEMPLATE_SPACE,
        "options": choices,
        "model": model,
        "groups": summaries,
    }
    return record | {"left_out": selection.left_out, "warnings": list(warnings), "diffad": __version__}
