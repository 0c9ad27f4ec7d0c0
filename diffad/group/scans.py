"""Which scans of a folder of results go into group maps, and why the others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.group.settings import get_model_name, read_settings, require_one_kind
from diffad.io.entities import parse_bids_name
from diffad.io.escape import escape_name
from diffad.io.naming import Naming, find_maps
from diffad.io.own_maps import read_scan_info
from diffad.io.search import list_names
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.predict.results import Results
from diffad.prepare.mni import USUAL_DICE

KINDS = ("template_anomaly", "template_mask", "template_seen")
"""Kinds of results in the template that group maps are made of."""
FAILURE, NO_RESULTS, NO_TEMPLATE = "failed", "results are gone", f"no maps in {TEMPLATE_SPACE}"
OUTSIDE_DOMAIN, OTHER_MODEL = "outside what the model knows", "of another model"
POOR_QUALITY = "too poor to be judged"
"""Why a scan is left out."""


@dataclass(frozen=True)
class GroupScan:
    """A scan that goes into group maps.

    Args:
        name: Its name.
        person: Who was scanned: the subject of a BIDS name, or the whole name.
        files: Its maps in the template, by kind.
        settings: What they follow from, see ``read_settings``.
        model: Name of the model.
        threshold: Threshold of its detections.
        is_outside: Whether it is outside what the model knows.
        is_poor: Whether it is too poor to be judged.
        dice: Overlap of its brain with that of the template; none where it was not measured.
    """

    name: str
    person: str
    files: Mapping[str, Path]
    settings: Mapping[str, Any]
    model: str
    threshold: float
    is_outside: bool = False
    is_poor: bool = False
    dice: float | None = None


@dataclass(frozen=True)
class ScanFilter:
    """Which scans go into group maps.

    Args:
        with_outside_scans: Take scans outside what the model knows, too.
        with_poor_scans: Take scans that are too poor to be judged, too.
        model: Name of the model whose results are taken; all by default.
    """

    with_outside_scans: bool = False
    with_poor_scans: bool = False
    model: str = ""

    def name_reason(self, row: Mapping[str, str]) -> str:
        """Say why a scan that has all it needs is left out, by its row of the table; empty if it is not."""
        if row["domain"] == "outside" and not self.with_outside_scans:
            return OUTSIDE_DOMAIN
        return POOR_QUALITY if is_poor(row) and not self.with_poor_scans else ""


def is_poor(row: Mapping[str, str]) -> bool:
    """Tell whether a scan is too poor to be judged, by its row of the table."""
    return row["quality"].partition(":")[0] == "poor"


@dataclass
class GroupSelection:
    """The scans of a folder of results.

    Args:
        scans: Those that go in, by name.
        left_out: Why each of the others does not.
        notes: What a reader should know.
    """

    scans: list[GroupScan] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def count_left_out(self) -> list[tuple[str, list[str]]]:
        """Return the reasons, each with its scans, the most frequent first."""
        counts = Counter(self.left_out.values())
        return [(why, [s for s, w in self.left_out.items() if w == why]) for why, _ in counts.most_common()]


def select_group_scans(folder: Path, scan_filter: ScanFilter) -> GroupSelection:
    """Choose the scans of a folder of results that can be summed up; they come in the order of their names.

    Args:
        folder: Folder that ``diffad predict --space`` wrote.
        scan_filter: Which of its scans.

    Raises:
        ValueError: If there are no results, none has maps in the template, or models or settings differ.
    """
    rows = Results(folder / "results.csv").rows
    namings = {escape_name(naming.name): naming for naming in find_maps(folder).values()}
    if not rows:
        raise ValueError(f"{folder}: expected results of diffad predict with results.csv, found none")
    selection = GroupSelection()
    for name in sorted(rows):
        outcome = _judge_row(folder, rows[name], namings.get(name), scan_filter)
        if isinstance(outcome, GroupScan):
            selection.scans.append(outcome)
        else:
            selection.left_out[name] = outcome
    _require_scans(selection, folder, scan_filter.model)
    kinds = {scan.name: scan.settings for scan in selection.scans}
    try:
        notes = require_one_kind(kinds, {scan.name: scan.model for scan in selection.scans})
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    selection.notes = [*notes, *_describe_scans(selection.scans)]
    return selection


def _judge_row(
    folder: Path, row: Mapping[str, str], naming: Naming | None, scan_filter: ScanFilter
) -> GroupScan | str:
    """Return the scan of a row of the table, or why it is left out."""
    if row["status"] != "ok":
        return FAILURE
    if naming is None:
        return NO_RESULTS
    places = naming.files(folder)
    try:
        info = read_scan_info(places["info"])
    except (ValueError, OSError):
        return NO_RESULTS
    if scan_filter.model and get_model_name(info) != scan_filter.model:
        return OTHER_MODEL
    if not all(places[kind].is_file() for kind in KINDS):
        return NO_TEMPLATE
    if reason := scan_filter.name_reason(row):
        return reason
    bids = parse_bids_name(naming.name)
    return GroupScan(
        row["scan"],
        f"sub-{bids.entities['sub']}" if bids else naming.name,
        {kind: places[kind] for kind in KINDS},
        read_settings(info),
        get_model_name(info),
        float(info.get("threshold", 0.0)),
        row["domain"] == "outside",
        is_poor(row),
        _read_dice(info),
    )


def _read_dice(info: Mapping[str, Any]) -> float | None:
    spaces = info.get("spaces")
    entry = spaces.get(TEMPLATE_SPACE) if isinstance(spaces, Mapping) else None
    dice = entry.get("dice") if isinstance(entry, Mapping) else None
    return float(dice) if isinstance(dice, int | float) else None


def _require_scans(selection: GroupSelection, folder: Path, model: str) -> None:
    if selection.scans:
        return
    counts = ", ".join(f"{len(names)} {why}" for why, names in selection.count_left_out())
    hints = {NO_TEMPLATE: f"run diffad predict again with --space {TEMPLATE_SPACE}"}
    hints |= {OUTSIDE_DOMAIN: "--include-outside takes them", OTHER_MODEL: f"--model {model} takes none"}
    hints |= {POOR_QUALITY: "--include-poor takes them"}
    hint = "; ".join(hints[why] for why, _ in selection.count_left_out() if why in hints)
    raise ValueError(f"{folder}: expected scans with maps in the template, found none ({counts}); {hint}")


def _describe_scans(scans: Sequence[GroupScan]) -> list[str]:
    notes = []
    people = Counter(scan.person for scan in scans)
    if repeats := [person for person, count in people.items() if count > 1]:
        text = f"{len(scans)} scans are of {len(people)} people, and each scan counts: {len(repeats)} people"
        notes.append(f"{text} have several")
    members = {OUTSIDE_DOMAIN: [scan.name for scan in scans if scan.is_outside]}
    members |= {POOR_QUALITY: [scan.name for scan in scans if scan.is_poor]}
    for reason, names in members.items():
        if names:
            text = f"{len(names)} of {len(scans)} scans are {reason}, and are included"
            notes.append(f"{text}: {list_names(names)}")
    if misfits := [s.name for s in scans if s.dice is not None and s.dice < USUAL_DICE]:
        text = (
            f"{len(misfits)} of {len(scans)} scans overlap with the template by a Dice below {USUAL_DICE:g}"
        )
        notes.append(f"{text}, so that their maps may lie elsewhere: {list_names(misfits)}")
    thresholds = [scan.threshold for scan in scans]
    if min(thresholds) != max(thresholds):
        span = f"{min(thresholds):.4g} to {max(thresholds):.4g}"
        notes.append(f"each scan has a threshold of its own (Otsu's), {span}: detections are unlike")
    return notes
