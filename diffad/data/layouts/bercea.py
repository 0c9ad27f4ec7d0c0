"""Mid-axial slices with pathologies, as the studies of normative representations list them."""

from __future__ import annotations

import csv
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.rules import describe_faults
from diffad.data.layouts.table import _head
from diffad.registry import LAYOUTS


@LAYOUTS.register("bercea")
class Bercea(Layout):
    """Mid-axial PNG: CSV files with one column, filename; one a split or pathology, paths from the root."""

    def fits(self, root: Path) -> int:
        """Return how many such tables there are, twice, as they speak for this and no plain table."""
        return 2 * len(_tables(root))

    def entries(self, root: Path) -> Listing:
        """List the slices of all tables; masks of boxes lie in folders with anno_pos for the images' png.

        Raises:
            DataError: If no slice is there.
        """
        made, missing = [], []
        for table in _tables(root):
            split = next((s for s in ("train", "val", "test") if s in table.stem.lower()), "test")
            label = int(not any(word in table.stem.lower() for word in ("normal", "train", "val", "ixi")))
            with table.open(newline="", encoding="utf-8-sig") as file:
                names = [row["filename"].strip() for row in csv.DictReader(file) if row.get("filename")]
            for name in names:
                path = root / name.removeprefix("./")
                if not path.is_file():
                    missing.append(path)
                    continue
                made.append(_entry(path, table.stem, split, label))
        if not made:
            raise DataError(f"{root}: expected the slices that the tables name, found none")
        unmasked = [e.images["image"] for e in made if e.label == 1 and e.lesion is None]
        problems = describe_faults(missing, root, "slices that are not there")
        problems += describe_faults(unmasked, root, "slices with a pathology but no mask of it")
        return Listing("bercea", sorted(made, key=lambda e: e.name), problems)


def _tables(root: Path) -> list[Path]:
    return [p for p in sorted(root.rglob("*.csv")) if _head(p) == {"filename"}]


def _entry(path: Path, pathology: str, split: str, label: int) -> Entry:
    folder = path.parent.with_name(path.parent.name.replace("_png", "_anno_pos_png"))
    masks = sorted(folder.glob(f"{path.stem}_*.png")) if folder != path.parent else []
    name = f"{pathology}-{path.stem}"
    lesion = masks[0] if masks else None
    return Entry(name, path.stem, {"image": path}, lesion, split=split, label=label, group=pathology)
