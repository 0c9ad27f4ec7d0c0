"""What images must have in common to be one volume that objects can refer to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.dicom.writer_packages import DicomError

SHARED = {
    "SeriesInstanceUID": "series",
    "StudyInstanceUID": "studies",
    "FrameOfReferenceUID": "frames of reference",
    "PatientID": "patients",
    "PatientName": "patients",
    "Rows": "numbers of rows",
    "Columns": "numbers of columns",
}
"""What all images share, and what several of it are called."""
ESSENTIALS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "PixelSpacing",
)
PARALLEL = 1e-3
"""Largest difference of a direction cosine of parallel images."""
SAME_PLACE = 1e-3
"""Distance of two images at one place, in mm."""
GAP = 1.5
"""A gap is so many times as wide as most distances of neighbours."""


def check_series_images(headers: Sequence[Any], folder: Path) -> None:
    """Refuse images that are no single volume.

    Args:
        headers: What the images say of themselves.
        folder: Where they lie, for the message.

    Raises:
        DicomError: With what was expected and what was found.
    """
    if any(int(header.get("NumberOfFrames") or 1) > 1 or _is_enhanced(header) for header in headers):
        raise DicomError(
            f"{folder}: expected images of a single frame each, found an enhanced multi-frame image; "
            "write classic images of it first"
        )
    for keyword in (*ESSENTIALS, "ImageOrientationPatient"):
        if count := sum(not header.get(keyword) for header in headers):
            raise DicomError(f"{folder}: expected {keyword} in every image, found {count} without it")
    if any(int(header.get("SamplesPerPixel") or 1) > 1 for header in headers):
        raise DicomError(f"{folder}: expected images of grey values, found colours")
    for keyword, many in SHARED.items():
        values = {str(header.get(keyword) or "") for header in headers}
        if len(values) > 1:
            raise DicomError(f"{folder}: expected one series of one patient, found {len(values)} {many}")
    _check_places(headers, folder)


def _is_enhanced(header: Any) -> bool:
    return "PerFrameFunctionalGroupsSequence" in header


def _check_places(headers: Sequence[Any], folder: Path) -> None:
    """Refuse images that turn, differ in their pixels' size, or lie at one place."""
    turns = np.array([list(header.ImageOrientationPatient) for header in headers], float)
    sizes = np.array([list(header.PixelSpacing) for header in headers], float)
    if np.abs(turns - turns[0]).max() > PARALLEL:
        raise DicomError(f"{folder}: expected parallel images, found several directions, as of a scout")
    if np.abs(sizes - sizes[0]).max() > PARALLEL:
        raise DicomError(f"{folder}: expected images of one pixel size, found several")
    if not (np.isfinite(turns).all() and np.isfinite(sizes).all() and sizes.min() > 0):
        raise DicomError(f"{folder}: expected finite directions and pixel sizes, found others")
    places = np.array([list(header.ImagePositionPatient) for header in headers], float)
    heights = np.sort(places @ np.cross(turns[0, :3], turns[0, 3:]))
    count = 1 + int((np.diff(heights) > SAME_PLACE).sum())
    if count < len(headers):
        raise DicomError(
            f"{folder}: expected one image at each place, found {len(headers)} at {count} places, "
            "as of several echoes, times or copies"
        )


def find_image_gaps(heights: Array, folder: Path) -> tuple[str, ...]:
    """Say where images seem to be missing.

    Args:
        heights: Places along the normal, (N,), in mm, in order.
        folder: Where they lie, for the message.
    """
    steps = np.diff(heights)
    gaps = int((steps > GAP * np.median(steps)).sum()) if len(steps) > 1 else 0
    if not gaps:
        return ()
    return (
        f"{folder}: the images have {gaps} gaps of up to {steps.max():.1f} mm, between others of "
        f"{np.median(steps):.1f} mm, as if some were missing; objects show nothing there",
    )
