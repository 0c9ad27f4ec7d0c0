"""How the slices of a series lie to one another: order, distance, tilt, gaps and repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffad.dicom.places import LPS_TO_RAS, FramePlace

Array = npt.NDArray[np.float64]
SAME_DIRECTION = 1e-3
"""Largest difference between the directions of slices that are parallel."""
SAME_PLACE, SAME_DISTANCE = 0.01, 0.03
"""Distance of slices at one place, in mm; share by which distances of slices may differ, as headers round."""
MIN_TILT = 0.1
"""Tilts below this many degrees are rounding."""


@dataclass(frozen=True)
class SliceStack:
    """Slices in the order of their places.

    Args:
        order: Numbers of the frames, from the first place to the last.
        repeats: How many frames lie at one place; 1 of a plain volume, 0 if places differ in that.
        smallest: Smallest distance of neighbours along the normal, in mm; 0 of a single place.
        largest: Largest distance, in mm.
        gaps: How many distances are larger than the usual one.
        tilt: Angle between the normal and the way from slice to slice, in degrees.
        is_parallel: Whether all slices have one orientation.
        is_even: Whether all have one size of pixels.
    """

    order: tuple[int, ...]
    repeats: int
    smallest: float
    largest: float
    gaps: int
    tilt: float
    is_parallel: bool
    is_even: bool

    @property
    def is_equidistant(self) -> bool:
        """Whether all slices are as far from the next."""
        return self.largest <= self.smallest * (1 + SAME_DISTANCE) + 2 * SAME_PLACE


def measure_stack(places: Sequence[FramePlace]) -> SliceStack:
    """Measure how slices lie to one another.

    Args:
        places: At least one.
    """
    first = places[0]
    axes = np.array([[*p.along_row, *p.along_column] for p in places])
    spacings = np.array([p.spacing for p in places])
    corners = np.array([p.position for p in places])
    heights = corners @ first.normal
    order = np.argsort(heights, kind="stable")
    is_new = np.diff(heights[order], prepend=-np.inf) > SAME_PLACE
    distances = np.diff(heights[order][is_new])
    counts = np.diff(np.flatnonzero(np.append(is_new, True)))
    usual = float(np.median(distances)) if len(distances) else 0.0
    return SliceStack(
        tuple(int(i) for i in order),
        int(counts[0]) if len(set(counts.tolist())) == 1 else 0,
        float(distances.min(initial=np.inf)) if len(distances) else 0.0,
        float(distances.max(initial=0.0)),
        int((distances > usual * (1 + SAME_DISTANCE) + 2 * SAME_PLACE).sum()),
        _measure_tilt(corners[order], first.normal),
        bool(np.abs(axes - axes[0]).max() < SAME_DIRECTION),
        bool(np.abs(spacings - spacings[0]).max() < SAME_DIRECTION),
    )


def _measure_tilt(corners: Array, normal: Array) -> float:
    """Return the angle between the normal and the way from the first slice to the last, in degrees."""
    way = corners[-1] - corners[0]
    length = float(np.linalg.norm(way))
    if length < SAME_PLACE:
        return 0.0
    angle = float(np.degrees(np.arccos(np.clip(way @ normal / length, -1, 1))))
    return angle if angle >= MIN_TILT else 0.0


def make_affine(places: Sequence[FramePlace]) -> Array:
    """Return the matrix from column, row and slice to mm of the patient in RAS, (4, 4), sheared by a tilt.

    Args:
        places: Slices in order, as far from one another; at least two.
    """
    matrix = places[0].affine
    step = np.array(places[-1].position) - np.array(places[0].position)
    matrix[:3, 2] = LPS_TO_RAS[:3, :3] @ step / (len(places) - 1)
    return matrix


def name_orientation(place: FramePlace) -> str:
    """Return the plane that slices are closest to: axial, coronal or sagittal."""
    return ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(place.normal)))]
