"""The index of what ``predict`` wrote, from its table and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffad.inference.lesions import read_lesions
from diffad.io.naming import Naming, find_maps
from diffad.io.subjects import Subject
from diffad.report.viewer.index import IndexRow, write_index


def write_cohort(out: Path, subjects: Sequence[Subject], rows: Mapping[str, Mapping[str, str]]) -> Path:
    """Write ``index.html`` over all rows of the table of results.

    Args:
        out: Folder of the results.
        subjects: Scans of this run.
        rows: Rows of ``results.csv`` by scan.

    Raises:
        OSError: If it cannot be written.
    """
    namings = {naming.name: naming for naming in find_maps(out).values()}
    namings |= {subject.name: subject.naming for subject in subjects}
    entries = [_make_row(out, namings.get(name, Naming(name)), row) for name, row in rows.items()]
    return write_index(entries, out / "index.html", title="Anomaly maps")


def _make_row(out: Path, naming: Naming, row: Mapping[str, str]) -> IndexRow:
    ok = row["status"] == "ok"
    files = {k: p.as_posix() for k in ("page", "report") if ok and (out / (p := naming.path(k))).is_file()}
    return IndexRow(
        scan=naming.name,
        status=row["status"],
        score=row["score"],
        volume_ml=row["volume_ml"],
        lesions=_count_lesions(out / naming.path("lesions_json")) if ok else None,
        page=files.get("page", ""),
        picture=files.get("report", ""),
        error=row["error"],
    )


def _count_lesions(path: Path) -> int | None:
    """Return the number of lesions; none if there is no table of them, or it is damaged."""
    try:
        return len(read_lesions(path)) if path.is_file() else None
    except (ValueError, OSError):
        return None
