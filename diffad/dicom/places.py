"""Where the frames of an image lie in the patient: position, orientation and size of the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From the axes of DICOM (left, posterior, superior) to those of NIfTI (right, anterior, superior)."""


@dataclass(frozen=True)
class FramePlace:
    """One frame in the patient, on the axes of DICOM (left, posterior, superior), in mm.

    Args:
        position: Centre of the first pixel.
        along_row: Direction in which columns count.
        along_column: Direction in which rows count.
        spacing: Distance of columns, and of rows.
    """

    position: tuple[float, float, float]
    along_row: tuple[float, float, float]
    along_column: tuple[float, float, float]
    spacing: tuple[float, float]

    @property
    def normal(self) -> Array:
        """Direction at right angles to the frame, (3,)."""
        return np.cross(self.along_row, self.along_column)

    @property
    def affine(self) -> Array:
        """From column and row, and mm along the normal, to mm of the patient in RAS, (4, 4)."""
        matrix = np.eye(4)
        matrix[:3, 0] = np.array(self.along_row) * self.spacing[0]
        matrix[:3, 1] = np.array(self.along_column) * self.spacing[1]
        matrix[:3, 2] = self.normal
        matrix[:3, 3] = self.position
        return LPS_TO_RAS @ matrix


def read_frame_places(item: Any) -> tuple[FramePlace, ...]:
    """Read where the frames of a data set lie; nothing where the header lacks any of it.

    Args:
        item: A data set of pydicom, of one frame or of several with functional groups.
    """
    frames = item.get("PerFrameFunctionalGroupsSequence")
    if frames is None:
        places = [_make_place(item, item, item)]
    else:
        common = (item.get("SharedFunctionalGroupsSequence") or [None])[0]
        places = [_read_frame(frame, common) for frame in frames]
    return tuple(place for place in places if place is not None) if None not in places else ()


def _read_frame(frame: Any, common: Any) -> FramePlace | None:
    position = _find_group(frame, common, "PlanePositionSequence")
    orientation = _find_group(frame, common, "PlaneOrientationSequence")
    return _make_place(position, orientation, _find_group(frame, common, "PixelMeasuresSequence"))


def _find_group(frame: Any, common: Any, name: str) -> Any:
    for group in (frame, common):
        if group is not None and group.get(name):
            return group[name][0]
    return {}


def _make_place(position: Any, orientation: Any, measures: Any) -> FramePlace | None:
    corner = _read_numbers(position, "ImagePositionPatient", 3)
    axes = _read_numbers(orientation, "ImageOrientationPatient", 6)
    spacing = _read_numbers(measures, "PixelSpacing", 2)
    if corner is None or axes is None or spacing is None or min(spacing) <= 0:
        return None
    row, column = np.array(axes[:3]), np.array(axes[3:])
    if (
        abs(np.linalg.norm(row) - 1) > 0.01
        or abs(np.linalg.norm(column) - 1) > 0.01
        or abs(row @ column) > 0.01
    ):
        return None
    return FramePlace(corner, axes[:3], axes[3:], (spacing[1], spacing[0]))


def _read_numbers(item: Any, keyword: str, count: int) -> Any:
    """Return so many finite numbers of a header; none where there are others."""
    values = item.get(keyword)
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None
