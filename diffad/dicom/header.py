"""What the header of one image says, without its pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.dicom.identifiers import read_identifiers
from diffad.dicom.places import FramePlace, read_frame_places
from diffad.io.extras import import_extra
from diffad.io.files import FileError, open_regular

NO_SERIES = "no series"
"""What a series is called whose images do not say which they belong to."""


@dataclass(frozen=True)
class ImageHeader:
    """One image file, or all frames of one.

    Args:
        path: Its file.
        series_uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        patient: Patient, by id and name; for comparison only.
        sop_class: Kind of object.
        syntax: Transfer syntax.
        places: Where its frames lie, one each; none where the header does not say.
        shape: Columns and rows.
        facts: Other attributes by keyword, none of which identifies a patient by its kind.
        identifiers: Words that identify the patient.
        lacks_bytes: Whether the file ends before its pixels do.
    """

    path: Path
    series_uid: str
    study_uid: str
    patient: tuple[str, str] = field(repr=False)
    sop_class: str
    syntax: str
    places: tuple[FramePlace, ...]
    shape: tuple[int, int]
    facts: dict[str, Any] = field(repr=False)
    identifiers: frozenset[str] = field(repr=False)
    lacks_bytes: bool = False

    def get_number(self, keyword: str) -> float:
        """Return a number of the header, NaN where there is none."""
        try:
            return float(self.facts.get(keyword))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return float("nan")

    def get_text(self, keyword: str) -> str:
        """Return a text of the header, empty where there is none."""
        value = self.facts.get(keyword)
        return "" if value is None else str(value)

    @property
    def image_type(self) -> tuple[str, ...]:
        """Values of ImageType, in capitals."""
        value = self.facts.get("ImageType") or ()
        values = [value] if isinstance(value, str) else list(value)
        return tuple(str(v).upper() for v in values)


FACTS = (
    "ImageType",
    "Modality",
    "SeriesDescription",
    "ProtocolName",
    "SequenceName",
    "SeriesNumber",
    "BodyPartExamined",
    "EchoTime",
    "EchoNumbers",
    "RepetitionTime",
    "InversionTime",
    "FlipAngle",
    "ScanningSequence",
    "MRAcquisitionType",
    "ContrastBolusAgent",
    "StudyDate",
    "StudyTime",
    "Manufacturer",
    "NumberOfFrames",
    "DiffusionBValue",
    "LossyImageCompression",
)
TAGS = ("SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "PatientName")


def read_image_header(path: Path) -> ImageHeader | None:
    """Read the header of a file; none if it is no image that pydicom can read.

    Raises:
        ImportError: If pydicom is missing.
    """
    pydicom = import_extra("pydicom", "dicom")
    try:
        with open_regular(path) as file:
            item = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            end, size = file.tell(), path.stat().st_size
        return _make_header(path, item, end, size)
    except FileError:
        return None
    except Exception:  # pydicom raises a dozen unrelated types on damaged files
        return None


def _make_header(path: Path, item: Any, end: int, size: int) -> ImageHeader | None:
    if "SOPClassUID" not in item and "SeriesInstanceUID" not in item:
        return None
    syntax = str(getattr(getattr(item, "file_meta", None), "TransferSyntaxUID", "") or "")
    texts = {keyword: str(item.get(keyword, "") or "") for keyword in TAGS}
    rows, columns = int(item.get("Rows", 0) or 0), int(item.get("Columns", 0) or 0)
    return ImageHeader(
        path,
        texts["SeriesInstanceUID"] or NO_SERIES,
        texts["StudyInstanceUID"],
        (texts["PatientID"].strip(), texts["PatientName"].strip(" ^").lower()),
        texts["SOPClassUID"],
        syntax,
        read_frame_places(item),
        (columns, rows),
        {key: _simplify(item.get(key)) for key in FACTS},
        read_identifiers(item),
        _lacks_bytes(item, syntax, size - end),
    )


def _simplify(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if hasattr(value, "__iter__"):
        return [str(v) for v in value]
    return str(value)


def _lacks_bytes(item: Any, syntax: str, rest: int) -> bool:
    """Tell whether the bytes after the header are too few for pixels that are not compressed."""
    if syntax not in ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"):
        return False
    count = int(item.get("Rows", 0) or 0) * int(item.get("Columns", 0) or 0)
    count *= int(item.get("NumberOfFrames", 1) or 1) * int(item.get("SamplesPerPixel", 1) or 1)
    return rest < count * int(item.get("BitsAllocated", 16) or 16) // 8
