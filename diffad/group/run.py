"""Group maps of a folder of results: which scans, their sums, and a folder with maps, tables and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffad.data.volume import Array, Volume, require_same_grid
from diffad.group.people import find_table, group_scans
from diffad.group.regions import RegionCounts
from diffad.group.scans import GroupScan, GroupSelection, ScanFilter, select_group_scans
from diffad.group.sums import VoxelSums
from diffad.io.search import list_names
from diffad.io.terminal import Progress, format_error, say
from diffad.prepare.to_template import make_template_volume

ALL = "all"
"""Name of the group of all scans."""
UNREADABLE = "maps in the template cannot be read"
"""Why a scan is left out whose maps are damaged."""


@dataclass(frozen=True)
class GroupOptions:
    """What group maps are made of.

    Args:
        folder: Folder that ``diffad predict --space`` wrote.
        by: Column of the table of people whose values are groups; empty for all scans alone.
        participants: That table; found by default, see ``find_table``.
        scan_filter: Which of its scans.
    """

    folder: Path
    by: str = ""
    participants: Path | None = None
    scan_filter: ScanFilter = field(default_factory=ScanFilter)


@dataclass(eq=False)
class GroupMaps:
    """The sums of one group.

    Args:
        name: What it is called: "all", or column and value, as "diagnosis: MDD".
        slug: First part of the names of its files.
        sums: Sums by voxel.
        regions: Counts by region.
        scans: Names of its scans.
    """

    name: str
    slug: str
    sums: VoxelSums
    regions: RegionCounts
    scans: list[str]

    @classmethod
    def begin(cls, name: str, slug: str) -> GroupMaps:
        """Begin with no scan."""
        shape = make_template_volume().data.shape[1:]
        return cls(name, slug, VoxelSums.of_shape(shape), RegionCounts.begin(), [])

    def merge(self, other: GroupMaps) -> None:
        """Add the scans of another group."""
        self.sums.merge(other.sums)
        self.regions.merge(other.regions)
        self.scans += other.scans

    def list_warnings(self) -> list[str]:
        """Say so where there are too few scans for what is written."""
        texts = {0: "no scan is left, so that its maps are empty"}
        texts[1] = "only 1 scan, so that the standard deviation is not defined (0)"
        return [f"{self.name}: {texts[self.sums.scans]}"] if self.sums.scans in texts else []


def choose_groups(options: GroupOptions, selection: GroupSelection) -> dict[str, list[GroupScan]]:
    """Sort the scans into groups by the table of people; those without a value are said, and count in all.

    Raises:
        ValueError: If there is no such table or column.
    """
    if not options.by:
        return {}
    table = options.participants or find_table(options.folder)
    groups, strangers = group_scans(selection.scans, options.by, table)
    if strangers:
        text = f"{len(strangers)} scans have no {options.by} in {table}, and count among all alone"
        selection.notes.append(f"{text}: {list_names(strangers)}")
    return groups


def sum_scans(
    group: GroupMaps, scans: Sequence[GroupScan], selection: GroupSelection, progress: Progress
) -> None:
    """Add scans to a group, one after the other; one whose maps cannot be read is left out and said."""
    template = make_template_volume()
    for scan in scans:
        with progress.scan(scan.name):
            try:
                maps = [_read_map(scan.files[kind], template) for kind in scan.files]
            except (ValueError, OSError) as error:
                selection.left_out[scan.name] = UNREADABLE
                selection.scans.remove(scan)
                say(f"warning: left out {scan.name}: {format_error(error)}")
                continue
            anomaly, mask, seen_mask = maps[0], maps[1] > 0.5, maps[2] > 0.5
            group.sums.add(anomaly, mask, seen_mask)
            group.regions.add(mask, seen_mask)
            group.scans.append(scan.name)


def _read_map(path: Path, template: Volume) -> Array:
    volume = Volume.load(path, allow_constant=True)
    require_same_grid(volume, template)
    if len(volume.data) != 1:
        raise ValueError(f"{path}: expected one map, found {len(volume.data)}")
    return np.asarray(volume.data[0])


def slugify(by: str, values: Sequence[str]) -> dict[str, str]:
    """Return what the files of each group are called: column and value in letters, no two alike."""
    slugs: dict[str, str] = {}
    for value in values:
        words = ["".join(c for c in text if c.isascii() and c.isalnum()) for text in (by, value)]
        slug, count = f"{words[0] or 'group'}-{words[1] or 'value'}", 1
        while slug.lower() in (s.lower() for s in slugs.values()):
            count += 1
            slug = f"{words[0] or 'group'}-{words[1] or 'value'}{count}"
        slugs[value] = slug
    return slugs


def select(options: GroupOptions) -> GroupSelection:
    """Choose the scans, and say what is left out and what differs.

    Raises:
        ValueError: If there is none, or models or settings differ.
    """
    selection = select_group_scans(options.folder, options.scan_filter)
    for reason, names in selection.count_left_out():
        say(f"note: left out {len(names)} {reason}: {list_names(names)}")
    return selection
