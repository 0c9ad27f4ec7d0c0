"""The table of a set of painted scans, by which diffad benchmark reads it."""

from __future__ import annotations

from pathlib import Path

from diffad.data.layouts.base import Entry
from diffad.data.layouts.table import write_table
from diffad.data.names import infer_subject_below
from diffad.synthesise.write import LESIONS, RECORD, SCANS

TABLE = "table.csv"


def write_set_table(out: Path) -> int:
    """List the painted volumes of a folder, those of former runs too; single slices have no table.

    Args:
        out: Folder of the results.

    Returns:
        How many there are.

    Raises:
        OSError: If it cannot be written.
    """
    names = sorted(path.name.removesuffix(RECORD) for path in out.glob(f"*{RECORD}"))
    entries = [_list_entry(out, name) for name in names if (out / SCANS / f"{name}.nii.gz").is_file()]
    if entries:
        write_table(entries, out / TABLE, relative=True)
    return len(entries)


def _list_entry(out: Path, name: str) -> Entry:
    scan = out / SCANS / f"{name}.nii.gz"
    subject = infer_subject_below(scan, scan.parent) or name
    mask, lesion = out / SCANS / f"{name}_brain_mask.nii.gz", out / LESIONS / f"{name}_lesion.nii.gz"
    return Entry(name, subject, {"image": scan}, lesion, mask, "test")
