"""The command that writes what ``predict`` found as DICOM objects."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from diffad.dicom.writer import WrittenObjects
    from diffad.dicom.writer_choice import SeriesFinder
    from diffad.io.naming import Naming


def dicom_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that diffad predict wrote.")],
    out: Annotated[Path, typer.Option(help="Folder of the DICOM objects.")],
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DICOM",
            help="Folder of the DICOM series that the scans were made of.",
            show_default="as the results say",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Redo scans that have results.")] = False,
) -> None:
    """Write what was found as DICOM objects, which viewers show over the scan: not for diagnosis.

    NAME_detections.dcm is a segmentation, with a segment for each detection, NAME_anomaly.dcm a parametric
    map, NAME_report.dcm the picture as a secondary capture. All are of the patient and study of the series. A
    result that does not lie where the series does, or is of another scan, is refused. It needs the extra
    dicom: pip install "diffad[dicom]".

    \b
    Examples:
      diffad dicom maps --source study/t1 --out objects
      diffad dicom maps --source study --out objects --overwrite
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.dicom.writer_choice import SeriesFinder
    from diffad.io.extras import import_extra
    from diffad.io.naming import find_maps

    namings = list(find_maps(folder).values())
    if not namings:
        raise ValueError(f"{folder}: expected maps, as predict writes them, found none")
    import_extra("highdicom", "dicom")
    raise typer.Exit(_write_objects(folder, namings, SeriesFinder(source), out, overwrite))


def _write_objects(
    folder: Path, namings: list[Naming], finder: SeriesFinder, out: Path, overwrite: bool
) -> int:
    """Write the objects of every scan; one that fails costs no other. Return the exit code."""
    from diffad.io.terminal import Progress, format_error, say

    counts: Counter[str] = Counter()
    with Progress(len(namings)) as progress:
        for naming in namings:
            with progress.scan(naming.name):
                try:
                    objects = _write_scan(folder, naming, finder, out, overwrite, len(namings) == 1)
                    counts[objects.status] += 1
                    _say_written(naming.name, objects)
                except Exception as error:  # whatever is wrong with one scan must not cost the others
                    say(f"failed {naming.name}: {format_error(error)}", error)
                    counts["failed"] += 1
    _tell_counts(counts, out)
    return int(counts["failed"] > 0)


def _write_scan(
    folder: Path, naming: Naming, finder: SeriesFinder, out: Path, overwrite: bool, is_only: bool
) -> WrittenObjects:
    from diffad.dicom.writer import write_dicom

    files = naming.files(folder)
    paths = finder.find(files, is_only)
    return write_dicom(files, paths, out / naming.folder, naming.name, overwrite=overwrite)


def _say_written(name: str, objects: WrittenObjects) -> None:
    from diffad.io.terminal import say, show

    for warning in objects.warnings:
        say(f"warning: {name}: {warning}")
    if objects.status == "other":
        say(f"kept {name}: made of another result or series; --overwrite makes it anew")
    if objects.detections == 0:
        say(f"note: {name}: nothing was detected, so there is no segmentation")
    if not objects.is_copied:
        say(f"note: {name}: result and series have different voxels, so that values were interpolated")
    files = {kind: str(path) for kind, path in objects.files.items()}
    show("objects", scan=name, status=objects.status, files=files, copied=objects.is_copied)


def _tell_counts(counts: Counter[str], out: Path) -> None:
    from diffad.io.terminal import tell

    words = {
        "done": "done",
        "skipped": "done before",
        "other": "kept of other results or series",
        "failed": "failed",
    }
    parts = [f"{counts[status]} {text}" for status, text in words.items() if counts[status]]
    tell(f"{', '.join(parts)}; see {out}", **{status: counts[status] for status in words})
