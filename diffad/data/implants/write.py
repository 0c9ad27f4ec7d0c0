"""A set of whole brains with implanted lesions on disk: scans, brain masks, lesion masks and two tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diffad.data.implants.brain import LesionRow, implant_brain
from diffad.data.implants.painted import HEADS
from diffad.data.implants.plan import ImplantPlan, plan_volume, seed_generator
from diffad.data.layouts.base import Entry
from diffad.data.layouts.table import write_table
from diffad.data.names import infer_subject_below
from diffad.data.progress import track
from diffad.data.scan_slices import read_scan
from diffad.data.volume import Array, Volume
from diffad.io.atomic import write_text
from diffad.io.nifti import stem

SCANS, LESIONS, TABLE, ROWS = "scans", "lesions", "table.csv", "lesions.csv"
"""Folders of scans and of lesion masks, and the tables of scans and of lesions."""

COLUMNS = ("scan", "kind", "size", "ml", "region", "i", "j", "k", "contrast")
"""Columns of the table of lesions."""


@dataclass(frozen=True)
class ImplantSet:
    """What a set is made of.

    Args:
        scans: Healthy scans.
        masks: Brain mask of each; none for a stripped scan.
        subjects: Who was scanned, for each; none goes by the names of the scans.
        per_scan: Volumes with lesions made of each scan.
        healthy: Whether each scan is also written as it is, with an empty lesion mask.
        seed: Seed of everything.
    """

    scans: Sequence[Path]
    masks: Sequence[Path | None]
    subjects: Sequence[str] | None = None
    per_scan: int = 1
    healthy: bool = False
    seed: int = 0


def write_implants(out: Path, implant_set: ImplantSet) -> list[tuple[str, LesionRow]]:
    """Write a set; the same scans, options and seed give the same files.

    A table for ``diffad benchmark`` (``data.root``) lists the scans, and another one the lesions.

    Returns:
        The lesions, each with the name of its scan.

    Raises:
        ValueError: If the folder is not empty, or two scans have one name.
        VolumeError: If a scan or a mask cannot be used.
        OSError: If a file cannot be written.
    """
    require_empty(out, HEADS)
    names = [stem(path) for path in implant_set.scans]
    if repeats := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"expected a name for each scan, found {repeats[0]} twice; rename one")
    for folder in (SCANS, LESIONS):
        (out / folder).mkdir(parents=True)
    entries: list[Entry] = []
    rows: list[tuple[str, LesionRow]] = []
    pairs = list(zip(implant_set.scans, implant_set.masks, strict=True))
    for number, (scan, mask) in enumerate(track(pairs, "implanting lesions")):
        volume, brain = read_scan(scan, mask)
        for run, plan in _plan_runs(number, implant_set):
            name = name_run(stem(scan), run)
            image, truth, lesions = _make_volume(volume, brain, plan, name, implant_set.seed)
            entry = _save(out, name, volume, brain, image, truth)
            entries.append(replace(entry, subject=_find_subject(number, implant_set), group=plan.group))
            rows += [(name, row) for row in lesions]
    write_table(entries, out / TABLE, relative=True)
    write_text(out / ROWS, format_rows(rows))
    return rows


def require_empty(out: Path, folder: str = "") -> None:
    """Refuse a folder that holds files, but for one folder.

    Raises:
        ValueError: If it is no folder, or not empty.
    """
    if out.exists() and (not out.is_dir() or any(path.name != folder for path in out.iterdir())):
        raise ValueError(f"{out}: expected a new or an empty folder, found files; choose another one")


def _plan_runs(number: int, implant_set: ImplantSet) -> list[tuple[int, ImplantPlan]]:
    count = implant_set.per_scan
    runs = [(run + 1, plan_volume(number * count + run)) for run in range(count)]
    return [(0, ImplantPlan()), *runs] if implant_set.healthy else runs


def _find_subject(number: int, implant_set: ImplantSet) -> str:
    """Return who was scanned, the same in all volumes made of a scan."""
    if implant_set.subjects is not None:
        return implant_set.subjects[number]
    path = implant_set.scans[number]
    return infer_subject_below(path, path.parent) or stem(path)


def _make_volume(
    volume: Volume, brain: Array, plan: ImplantPlan, name: str, seed: int
) -> tuple[Array, Array, list[LesionRow]]:
    if plan.kind is None:
        return volume.data[0], np.zeros_like(brain), []
    return implant_brain(volume, brain, plan, seed_generator(seed, name))


def name_run(name: str, run: int) -> str:
    """Name a volume made of a scan, such as sub-01_run-02_T1w of sub-01_T1w; run 0 is the scan itself."""
    head, underscore, suffix = name.rpartition("_")
    if underscore and name.startswith("sub-") and "-" not in suffix:
        return f"{head}_run-{run:02}_{suffix}"
    return f"{name}-{run:02}"


def _save(out: Path, name: str, volume: Volume, brain: Array, image: Array, truth: Array) -> Entry:
    scan = out / SCANS / f"{name}.nii.gz"
    mask = out / SCANS / f"{name}_brain_mask.nii.gz"
    lesion = out / LESIONS / f"{name}_lesion.nii.gz"
    volume.save(image.astype(np.float32), scan)
    volume.save(brain.astype(np.uint8), mask, dtype=np.uint8)
    volume.save(truth.astype(np.uint8), lesion, dtype=np.uint8)
    return Entry(name, name, {"image": scan}, lesion, mask, "test")


def format_rows(rows: Sequence[tuple[str, LesionRow]]) -> str:
    """Return the table of lesions as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, row in rows:
        numbers = (f"{row.ml:.4f}", row.region, *row.centre, f"{row.contrast:.3f}")
        table.writerow((name, row.kind, row.size, *numbers))
    return text.getvalue()
