"""Results of predict as DICOM objects that a viewer shows over the series they were made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffad.dicom.capture import make_capture
from diffad.dicom.parametric import make_parametric_map
from diffad.dicom.references import SourceSeries, read_source_series
from diffad.dicom.segmentation import make_segmentation
from diffad.dicom.writer_content import judge_likeness, measure_likeness
from diffad.dicom.writer_facts import NUMBERS, ObjectFacts
from diffad.dicom.writer_packages import DicomError, hush_packages
from diffad.dicom.writer_places import SeriesPlacement, check_place
from diffad.dicom.writer_result import MOST_SEGMENTS, StoredResult, read_source_scan, read_stored_result
from diffad.io.extras import import_extra
from diffad.io.scratch import scratch_folder
from diffad.io.terminal import hold_interrupts

KINDS = ("detections", "report", "anomaly")
"""Objects of a result, in the order in which they are put in place; the last is always there."""


@dataclass(frozen=True)
class WrittenObjects:
    """What became of a result.

    Args:
        status: "done", "skipped" where the same objects are there, or "other" where those of another result
            or series are kept.
        files: Objects by kind: "detections", where there are any, "anomaly" and "report".
        detections: Number of detections of the result; none where objects were kept.
        is_copied: Whether series and result have the same voxels, so that none was interpolated.
        warnings: What should be known of them, in sentences.
    """

    status: str
    files: dict[str, Path] = field(default_factory=dict)
    detections: int | None = None
    is_copied: bool = True
    warnings: tuple[str, ...] = ()


def write_dicom(
    files: Mapping[str, Path], series_files: Sequence[Path], out: Path, name: str, *, overwrite: bool = False
) -> WrittenObjects:
    """Write the detections, the anomaly map and the picture of a result as DICOM objects.

    They become ``NAME_detections.dcm``, a segmentation, where there are detections, ``NAME_anomaly.dcm``, a
    parametric map, and ``NAME_report.dcm``, a secondary capture. The same files give the same objects.

    Args:
        files: What predict wrote of the scan, by kind, see ``Naming.files``.
        series_files: Images of the series that the scan was made of, in any order.
        out: Folder of the objects.
        name: Name of the scan.
        overwrite: Write objects of another result or series over those that are there.

    Raises:
        DicomError: If the series cannot be used, or the result does not belong to it.
        ValueError: If a file of the result cannot be used.
        ImportError: If the extra ``dicom`` is missing.
        OSError: If a file cannot be written.
    """
    import_extra("highdicom", "dicom")
    series = read_source_series(series_files)
    facts = ObjectFacts.of(series, files)
    places = {kind: out / f"{name}_{kind}.dcm" for kind in KINDS}
    if places["anomaly"].exists() and not overwrite:
        return _keep(facts, places)
    result = read_stored_result(files)
    placement, doubts = place_result(result, series)
    with hush_packages():
        items, gaps = _make_objects(result, placement, facts, name)
        paths = _publish(items, places, out / name)
    warnings = (*series.warnings, *doubts, *gaps)
    return WrittenObjects("done", paths, int(result.labels.max()), placement.is_exact, warnings)


def place_result(result: StoredResult, series: SourceSeries) -> tuple[SeriesPlacement, tuple[str, ...]]:
    """Find where a series lies in a result; return that, and what is in doubt.

    Raises:
        DicomError: If the result does not belong to the series.
    """
    check_place(series, result.anomaly.affine, result.brain, result.files["anomaly"])
    placement = SeriesPlacement.of(series, result.anomaly.affine)
    scan, record = read_source_scan(result), result.info.get("dicom")
    likeness = None if scan is None else measure_likeness(series, placement, scan, result.brain)
    is_named = isinstance(record, dict) and record.get("series_uid") == series.uid
    return placement, judge_likeness(series, likeness, is_named)


def _keep(facts: ObjectFacts, places: Mapping[str, Path]) -> WrittenObjects:
    """Tell whether the objects that are there are those that would be written."""
    pydicom = import_extra("pydicom", "dicom")
    with hush_packages():
        try:
            uid = pydicom.dcmread(places["anomaly"], specific_tags=["SOPInstanceUID"]).SOPInstanceUID
        except Exception:  # whatever a damaged file makes the parser raise
            uid = None
    is_same = uid == facts.describe_object("anomaly")["sop_instance_uid"]
    present = {kind: path for kind, path in places.items() if path.is_file()}
    return WrittenObjects("skipped" if is_same else "other", present)


def _make_objects(
    result: StoredResult, placement: SeriesPlacement, facts: ObjectFacts, name: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Make the objects of a result, and say which detections are in none.

    Raises:
        DicomError: If highdicom cannot make one of this series.
    """
    labels = np.where(result.labels > MOST_SEGMENTS, 0, result.labels)
    frames, values = placement.take_labels(labels), placement.take_values(result.anomaly.data[0])
    try:
        objects = {
            "detections": make_segmentation(result, frames, facts),
            "anomaly": make_parametric_map(result, values, facts),
            "report": make_capture(result.files["report"], name, facts),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DicomError(
            f"{facts.series.folder}: expected a series that highdicom can refer to, found one that it cannot "
            f"({type(error).__name__})"
        ) from error
    warnings = _list_lost(result, frames)
    if objects["report"].BurnedInAnnotation == "YES":
        warnings += (f"{facts.series.folder}: the title of the picture names the patient, as the scan does",)
    return {kind: item for kind, item in objects.items() if item is not None}, warnings


def _list_lost(result: StoredResult, frames: Any) -> tuple[str, ...]:
    """Say how many detections no image shows, or no object can number."""
    count = int(result.labels.max()) - len(np.unique(frames[frames > 0]))
    if not count:
        return ()
    return (f"{result.files['mask']}: {count} of its detections in no segment, as no image shows them",)


def _publish(objects: Mapping[str, Any], places: Mapping[str, Path], target: Path) -> dict[str, Path]:
    """Write objects aside, then put them in place in one go; older ones without successor are removed."""
    with scratch_folder(target) as folder:
        for kind, item in objects.items():
            item.save_as(folder / places[kind].name, enforce_file_format=True)
        with hold_interrupts():
            places["anomaly"].unlink(missing_ok=True)
            for kind, place in places.items():
                if kind in objects:
                    (folder / place.name).replace(place)
                else:
                    place.unlink(missing_ok=True)
    return {kind: places[kind] for kind in NUMBERS if kind in objects}
