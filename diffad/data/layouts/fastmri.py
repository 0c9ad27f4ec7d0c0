"""Boxes that radiologists drew on fastMRI."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.rules import IMAGES, VOLUMES, told_of
from diffad.registry import LAYOUTS

TABLE = Path("Annotations") / "brain.csv"
Box = tuple[float, float, float, float]


@LAYOUTS.register("fastmri_plus")
class FastmriPlus(Layout):
    """fastMRI+: Annotations/brain.csv, a box a row; FILE.h5, .nii.gz or FILE_SLICE.png below."""

    def fits(self, root: Path) -> int:
        """Return how many files the table could mean."""
        return 0 if not (root / TABLE).is_file() else 1 + len(_scans(root))

    def entries(self, root: Path) -> Listing:
        """List every annotated slice with its boxes.

        Raises:
            DataError: If the table cannot be read, or no scan is there.
        """
        boxes, faults = _boxes(root / TABLE)
        scans = _scans(root)
        made, missing = [], []
        for (file, slice_, label), drawn in sorted(boxes.items()):
            path = scans.get(f"{file}_{slice_}") or scans.get(file)
            if path is None:
                missing.append(root / file)
                continue
            name = f"{file}-{slice_}-{label.replace(' ', '_').lower()}"
            kept = tuple(box for box in drawn if box is not None)
            made.append(
                Entry(
                    name, file, {"image": path}, label=1, group=label, boxes=kept, index=slice_, split="test"
                )
            )
        if not made:
            raise DataError(f"{root}: expected scans of {TABLE.name}, found none of {len(boxes)} annotations")
        told = told_of(sorted(set(missing)), root, "annotated scans that are not there")
        return Listing("fastmri_plus", made, faults + told)


def _scans(root: Path) -> dict[str, Path]:
    every = (p for p in sorted(root.rglob("*")) if p.name.lower().endswith((".h5", *VOLUMES, *IMAGES)))
    return {p.name.split(".")[0]: p for p in every if not p.name.startswith(".")}


def _boxes(path: Path) -> tuple[dict[tuple[str, int, str], list[Box | None]], list[str]]:
    found: dict[tuple[str, int, str], list[Box | None]] = defaultdict(list)
    faults = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                key = (row["file"], int(row["slice"] or 0), row["label"])
                whole = (row.get("study_level") or "").lower() in ("yes", "true", "1")
                sides = [row[side] for side in ("x", "y", "width", "height")]
                box = None if whole else tuple(float(side) for side in sides)
            except (KeyError, TypeError, ValueError) as error:
                faults.append(f"{path}:{line}: expected file, slice, label and a box, found {error}")
                continue
            found[key].append(box)  # type: ignore[arg-type]
    return found, faults
