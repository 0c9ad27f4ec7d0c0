"""What a folder of DICOM files holds: its series, which of them predict takes, and why not the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffad.data.volume_error import VolumeError
from diffad.dicom.choice import choose_series
from diffad.dicom.visits import Visit, find_visits
from diffad.predict.contrasts import list_contrasts

MODEL = "brain-any"
"""Model that predict takes by default."""
HEADS = ("series", "description", "contrast", "images", "matrix", "mm", "plane", "verdict")


def describe_dicom(files: Sequence[Path], path: str, hides: bool = True) -> dict[str, Any]:
    """Return what DICOM files hold, without what identifies a patient.

    Args:
        files: The files.
        path: Folder as it was named.
        hides: Hide what identifies the patient.

    Raises:
        ImportError: If pydicom is missing.
    """
    listing, contrasts = find_visits(files, not hides), list_contrasts(MODEL)
    visits = [_describe_visit(visit, contrasts, not hides) for visit in listing.visits]
    is_named = any(visit.is_renamed or visit.label != str(visit.folder) for visit in listing.visits)
    facts: dict[str, Any] = {"kind": "DICOM folder", "path": None if is_named else path, "files": len(files)}
    facts |= {"damaged": listing.unreadable, "visits": visits}
    facts |= {"runs": any(visit["takes"] is not None for visit in visits)}
    place = "DICOM_DIR" if is_named else path
    return facts | {"next": f"diffad predict {place} --prepare --out maps"}


def _describe_visit(visit: Visit, contrasts: Sequence[str], keeps: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": visit.name, "folder": visit.label, "problem": visit.problem}
    facts |= {"series": [series.describe(keeps) for series in visit.series], "takes": None, "why": ""}
    try:
        choice = choose_series(visit, contrasts)[0]
    except VolumeError as error:
        return facts | {"why": str(error)}
    why = f"{choice.contrast}, the first of {', '.join(contrasts)} that is there with the smallest voxels"
    return facts | {"takes": choice.number, "takes_uid": choice.first.series_uid, "why": why}


def tabulate_dicom(facts: Mapping[str, Any]) -> list[str]:
    """Write what DICOM files hold as lines of text, a table for each visit."""
    lines = [f"DICOM folder of {facts['files']} files, {len(facts['visits'])} visits"]
    if facts["damaged"]:
        lines.append(f"{facts['damaged']} files are damaged and passed over")
    for visit in facts["visits"]:
        rows = [HEADS, *(_list_cells(series, visit) for series in visit["series"])]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
        lines += ["", f"{visit['name']}, in {visit['folder']}"]
        lines += ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        sentence = (
            f"predict takes series {visit['takes']}: " if visit["takes"] is not None else "predict fails: "
        )
        lines.append(f"{sentence}{visit['why']}")
    return [*lines, "", f"next: {facts['next']}"]


def _list_cells(series: Mapping[str, Any], visit: Mapping[str, Any]) -> tuple[str, ...]:
    number = f"{series['number']}" + (f" echo {series['echo']}" if series["echo"] else "")
    spacing = " x ".join(f"{v:.3g}" for v in series["spacing_mm"] or ()) or "unknown"
    is_taken = series["usable"] and series["series_uid"] == visit.get("takes_uid")
    verdict = "taken" if is_taken else "usable" if series["usable"] else f"passed over: {series['reason']}"
    matrix = " x ".join(map(str, series["matrix"]))
    cells = (number, series["description"][:30], series["contrast"], str(series["images"]), matrix)
    return (*cells, spacing, series["plane"] or "", verdict)
