"""Boxes that radiologists drew on fastMRI."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.folders import describe_count, list_files
from diffad.data.layouts.rules import IMAGES, VOLUMES
from diffad.data.layouts.sheet import read_sheet
from diffad.registry import LAYOUTS

TABLE = Path("Annotations") / "brain.csv"
HEALTHY = "normal for age"
"""The label of a whole scan that shows no pathology."""
Box = tuple[float, float, float, float]
Key = tuple[str, int, str]


@LAYOUTS.register("fastmri_plus")
class FastmriPlus(Layout):
    """fastMRI+: Annotations/brain.csv, one box a row; FILE.h5, FILE.nii.gz or FILE_SLICE.png."""

    def fits(self, root: Path) -> int:
        """Return how many files the table may refer to."""
        return 0 if not (root / TABLE).is_file() else 1 + len(_find_scans(root))

    def entries(self, root: Path) -> Listing:
        """List every annotated slice with its boxes, once for each label.

        Raises:
            DataError: If the table cannot be read, or no scan is found.
        """
        boxes, faults = _read_boxes(root / TABLE)
        if not boxes:
            raise DataError(faults[0] if faults else f"{root / TABLE}: expected annotations, found none")
        scans = _find_scans(root)
        paths = {key: scans.get(f"{key[0]}_{key[1]}") or scans.get(key[0]) for key in boxes}
        entries = [_make_entry(key, path, boxes[key]) for key, path in sorted(paths.items()) if path]
        if not entries:
            raise DataError(f"{root}: expected scans of {TABLE.name}, found none of {len(boxes)} annotations")
        missing_scans = sorted({key[0] for key, path in paths.items() if not path})
        problems = describe_count(missing_scans, root, "annotations of missing scans")
        return Listing("fastmri_plus", sorted(entries, key=lambda e: e.name), faults + problems)


def _make_entry(key: Key, path: Path, boxes: list[Box]) -> Entry:
    file, index, label = key
    name = f"{file}-{index}-{label.replace(' ', '_').lower()}"
    anomalous = int(HEALTHY not in label.lower())
    return Entry(
        name,
        file,
        {"image": path},
        label=anomalous,
        group=label,
        boxes=tuple(boxes),
        index=index,
        split="test",
    )


def _find_scans(root: Path) -> dict[str, Path]:
    return {p.name.split(".")[0]: p for p in list_files(root, (".h5", *VOLUMES, *IMAGES))}


def _read_boxes(path: Path) -> tuple[dict[Key, list[Box]], list[str]]:
    """Return the boxes of each slice and label, and what is wrong; a label of a whole scan has no box."""
    boxes: dict[Key, list[Box]] = defaultdict(list)
    table, faults = read_sheet(path)
    for line, row in enumerate(table, start=2):
        try:
            key = (row["file"], int(row["slice"] or 0), row["label"])
            box = _parse_box(row)
        except (KeyError, ValueError) as error:
            faults.append(f"{path}:{line}: expected file, slice, label and a box, found {error}")
            continue
        boxes[key] += box
    return boxes, faults


def _parse_box(row: Mapping[str, str]) -> list[Box]:
    if row.get("study_level", "").lower() in ("yes", "true", "1"):
        return []
    x, y, width, height = (float(row[side]) for side in ("x", "y", "width", "height"))
    if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(f"a box {width} wide and {height} high at {x}, {y}")
    return [(x, y, width, height)]
