"""Mid-axial slices with pathologies, listed as in the studies of normative representations."""

from __future__ import annotations

import csv
import io
from glob import escape
from pathlib import Path

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.rules import describe_faults
from diffad.data.layouts.table import read_header
from diffad.io.files import FileError
from diffad.io.paths import is_present_file
from diffad.io.text import read_text
from diffad.registry import LAYOUTS


@LAYOUTS.register("bercea")
class Bercea(Layout):
    """Mid-axial PNG: CSV files with one column, filename; one for each split or pathology."""

    def fits(self, root: Path) -> int:
        """Return twice the number of such tables, since they are no plain tables."""
        return 2 * len(_list_tables(root))

    def entries(self, root: Path) -> Listing:
        """List the slices of all tables, whose paths start at the root; masks lie in folders _anno_pos_png.

        Raises:
            DataError: If no slice is found.
        """
        entries, missing_files = [], []
        for table in _list_tables(root):
            split = next((s for s in ("train", "val", "test") if s in table.stem.lower()), "test")
            label = int(not any(word in table.stem.lower() for word in ("normal", "train", "val", "ixi")))
            names = _read_names(table)
            for name in names:
                path = root / name.removeprefix("./")
                if not is_present_file(path):
                    missing_files.append(path)
                    continue
                entries.append(_make_entry(path, table.stem, split, label))
        if not entries:
            raise DataError(f"{root}: expected the slices that the tables list, found none")
        unmasked_files = [e.images["image"] for e in entries if e.label == 1 and e.lesion is None]
        problems = describe_faults(missing_files, root, "missing slices that the tables list")
        problems += describe_faults(unmasked_files, root, "pathological slices without a mask")
        return Listing("bercea", sorted(entries, key=lambda e: e.name), problems)


def _read_names(table: Path) -> list[str]:
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(table, encoding="utf-8-sig"), newline="")))
    except (FileError, csv.Error) as error:
        raise DataError(f"{table}: expected a CSV of file names, found {error}") from error
    return [row["filename"].strip() for row in rows if row.get("filename")]


def _list_tables(root: Path) -> list[Path]:
    return [p for p in sorted(root.rglob("*.csv")) if read_header(p) == {"filename"}]


def _make_entry(path: Path, pathology: str, split: str, label: int) -> Entry:
    folder = path.parent.with_name(path.parent.name.replace("_png", "_anno_pos_png"))
    masks = sorted(folder.glob(f"{escape(path.stem)}_*.png")) if folder != path.parent else []
    name = f"{pathology}-{path.stem}"
    lesion = masks[0] if masks else None
    return Entry(name, path.stem, {"image": path}, lesion, split=split, label=label, group=pathology)
