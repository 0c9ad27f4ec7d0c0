"""The series that a result belongs to: its images in order, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.dicom.writer_checks import check_series_images, find_image_gaps
from diffad.dicom.writer_packages import DicomError, hush_packages
from diffad.io.extras import import_extra

RAS = np.diag([-1.0, -1.0, 1.0])
"""From the axes of DICOM, to the left, posterior and superior, to those of NIfTI."""
BLANKS = (
    "PatientID PatientName PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime"
    " ReferringPhysicianName PositionReferenceIndicator"
)
"""What every object has, if need be without a value; anonymised series lack some."""


@dataclass(frozen=True)
class SourceSeries:
    """Images of one series, in order along their normal.

    Args:
        folder: Where they lie, for messages.
        headers: All that each image says of itself, without its pixels.
        paths: Their files.
        affines: From (column, row, 0, 1) of each image to RAS mm, (N, 4, 4); the third column is the normal.
        warnings: What should be known of them, in sentences.
    """

    folder: Path
    headers: tuple[Any, ...]
    paths: tuple[Path, ...]
    affines: Array
    warnings: tuple[str, ...] = ()

    @property
    def uid(self) -> str:
        """What tells the series from all others."""
        return str(self.headers[0].SeriesInstanceUID)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Images, rows and columns."""
        return len(self.headers), int(self.headers[0].Rows), int(self.headers[0].Columns)

    @property
    def stack(self) -> Array:
        """From (column, row, image, 1) to RAS mm, (4, 4), as if all images were equally far apart."""
        matrix, count = self.affines[0].copy(), len(self.affines)
        if count > 1:
            matrix[:3, 2] = (self.affines[-1, :3, 3] - self.affines[0, :3, 3]) / (count - 1)
        return matrix


def find_series(folder: Path) -> dict[str, list[Path]]:
    """Find the images below a folder, by SeriesInstanceUID; what is no DICOM image is passed over.

    Where some series lie in the patient, others, such as pictures and segmentations, are passed over, too.

    Raises:
        DicomError: If there is none.
        ImportError: If pydicom is missing.
    """
    series: dict[str, list[Path]] = {}
    spatial: set[str] = set()
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
    for path in files:
        header = _read_header(path, ["SeriesInstanceUID", "Rows", "ImagePositionPatient"])
        if header is not None and "Rows" in header and "SeriesInstanceUID" in header:
            uid = str(header.SeriesInstanceUID)
            series.setdefault(uid, []).append(path)
            spatial |= {uid} if "ImagePositionPatient" in header else set()
    if not series:
        raise DicomError(f"{folder}: expected a DICOM series of images, found none in {len(files)} files")
    return {uid: paths for uid, paths in series.items() if uid in spatial} or series


def read_source_series(files: Sequence[Path]) -> SourceSeries:
    """Read the headers of a series of single-frame images, put in order and checked to be one volume.

    Args:
        files: Its files, in any order.

    Raises:
        DicomError: If they are no images, of several series, studies, patients or frames of reference, do not
            lie in parallel, lie at one place more than once, or are multi-frame.
        ImportError: If pydicom is missing.
    """
    folder = files[0].parent if files else Path()
    pairs = [(header, path) for path in files if (header := _read_header(path)) is not None]
    pairs = [(header, path) for header, path in pairs if "Rows" in header]
    if not pairs:
        raise DicomError(f"{folder}: expected a DICOM series of images, found none in {len(files)} files")
    check_series_images([header for header, _ in pairs], folder)
    normal = np.cross(*np.array(pairs[0][0].ImageOrientationPatient, float).reshape(2, 3))
    pairs.sort(key=lambda pair: float(normal @ np.array(pair[0].ImagePositionPatient, float)))
    headers, paths = (tuple(values) for values in zip(*pairs, strict=True))
    affines = np.stack([_make_affine(header) for header in headers])
    heights = affines[:, :3, 3] @ (RAS @ normal)
    thickness = float(np.median(np.diff(heights))) if len(heights) > 1 else 1.0
    for header in headers:
        _fill_blanks(header, thickness)
    return SourceSeries(folder, headers, paths, affines, find_image_gaps(heights, folder))


def _read_header(path: Path, tags: list[str] | None = None) -> Any:
    """Read a file without its pixels; none if it is no DICOM file."""
    pydicom = import_extra("pydicom", "dicom")
    with hush_packages():
        try:
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        except Exception:  # whatever a file that is none makes the parser raise
            return None


def _make_affine(header: Any) -> Array:
    right, down = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    apart, across = (float(v) for v in header.PixelSpacing)
    thickness = float(header.get("SliceThickness") or 1.0)
    affine = np.eye(4)
    affine[:3, :3] = RAS @ np.stack([right * across, down * apart, np.cross(right, down) * thickness], axis=1)
    affine[:3, 3] = RAS @ np.array(header.ImagePositionPatient, float)
    return affine


def _fill_blanks(header: Any, thickness: float) -> None:
    """Give a header what every object must have, empty where the series leaves it out or breaks its rules.

    Args:
        header: What an image says of itself.
        thickness: Distance of neighbours, which stands for the thickness of images without one, in mm.
    """
    for keyword in BLANKS.split():
        if keyword not in header:
            setattr(header, keyword, None)
    if header.PatientSex not in ("M", "F", "O"):
        header.PatientSex = None
    if not header.get("SliceThickness"):
        header.SliceThickness = round(thickness, 6)
