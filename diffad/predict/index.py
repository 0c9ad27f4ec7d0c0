"""The index of what ``predict`` wrote, from its table and its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffad.inference.lesions import read_lesions
from diffad.io.escape import escape_name
from diffad.io.files import require_file
from diffad.io.naming import Naming, find_maps
from diffad.io.subjects import Subject
from diffad.predict.results import SEPARATOR
from diffad.report.thumbnail import read_tiles
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
    namings = {escape_name(naming.name): naming for naming in find_maps(out).values()}
    namings |= {escape_name(subject.name): subject.naming for subject in subjects}
    entries = [_make_row(out, name, namings.get(name), row) for name, row in rows.items()]
    return write_index(entries, out / "index.html", title="Anomaly maps")


def _make_row(out: Path, name: str, naming: Naming | None, row: Mapping[str, str]) -> IndexRow:
    """Make a row; only of a scan whose maps lie in the folder it has links."""
    ok = naming is not None and row["status"] == "ok"
    paths = {kind: naming.path(kind) for kind in ("page", "report")} if ok and naming else {}
    files = {kind: path.as_posix() for kind, path in paths.items() if (out / path).is_file()}
    return IndexRow(
        scan=name,
        status=row["status"],
        score=row["score"],
        volume_ml=row["volume_ml"],
        lesions=_count_lesions(naming.find_files(out)["lesions_json"]) if ok and naming else None,
        page=files.get("page", ""),
        picture=files.get("report", ""),
        error=row["error"],
        verdict=row["verdict"],
        model=f"{row['model']} knows {row['scope']}" if row["scope"] else "",
        coverage=row["coverage"],
        flagged_share=row["flagged_share"],
        p_value=row["p_value"],
        domain=row["domain"],
        warnings=row["warnings"].split(SEPARATOR) if row["warnings"] else (),
        tiles=read_tiles(out / files["report"]) if "report" in files else None,
    )


def _count_lesions(path: Path) -> int | None:
    """Count the rows of a lesion table; none where it is missing or damaged, which ``--verify`` will tell."""
    try:
        return len(read_lesions(require_file(path)))
    except (ValueError, OSError):
        return None
