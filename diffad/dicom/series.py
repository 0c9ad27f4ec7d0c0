"""The series of a folder, each echo of one on its own, with what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffad.dicom.contrast import guess_contrast
from diffad.dicom.geometry import SliceStack, measure_stack, name_orientation
from diffad.dicom.header import ImageHeader
from diffad.dicom.identifiers import hide_text
from diffad.dicom.places import FramePlace
from diffad.dicom.verdict import Verdict, judge_series


@dataclass(frozen=True)
class Series:
    """Images that belong together: one series, or one echo of it.

    Args:
        headers: Its images, in the order of their places where these are known.
        places: Where their frames lie, in order; none where a header does not say.
        stack: How the slices lie to one another, or none.
        contrast: Contrast that it was taken for.
        echo: Number of the echo, where the series has several; else 0.
        verdict: Whether it can be looked at, and why not.
    """

    headers: tuple[ImageHeader, ...] = field(repr=False)
    places: tuple[FramePlace, ...] = field(repr=False)
    stack: SliceStack | None
    contrast: str
    echo: int
    verdict: Verdict

    @property
    def first(self) -> ImageHeader:
        """Header of the first image."""
        return self.headers[0]

    @property
    def number(self) -> int:
        """SeriesNumber; 0 where there is none."""
        value = self.first.get_number("SeriesNumber")
        return int(value) if np.isfinite(value) else 0

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, in the order of their places."""
        return tuple(header.path for header in self.headers)

    @property
    def spacing(self) -> tuple[float, float, float] | None:
        """Distance of columns, rows and slices, in mm."""
        if not self.places or self.stack is None:
            return None
        distance = self.stack.smallest if np.isfinite(self.stack.smallest) else 0.0
        return (*self.places[0].spacing, distance)

    @property
    def matrix(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        return (*self.first.shape, len(self.places) or len(self.headers))

    def describe(self, keeps: bool = False) -> dict[str, Any]:
        """Return what a list says of it, without what identifies the patient.

        Args:
            keeps: Leave the description as it is.
        """
        text = self.first.get_text("SeriesDescription") or self.first.get_text("ProtocolName")
        words = frozenset() if keeps else self.first.identifiers
        facts: dict[str, Any] = {"number": self.number, "echo": self.echo or None}
        facts |= {"description": hide_text(text, words), "modality": self.first.get_text("Modality")}
        facts |= {"images": len(self.headers), "matrix": list(self.matrix)}
        facts |= {"spacing_mm": [round(v, 3) for v in self.spacing] if self.spacing else None}
        facts |= {"plane": name_orientation(self.places[0]) if self.places else None}
        facts |= {"contrast": self.contrast, "usable": self.verdict.is_usable}
        return facts | {"reason": self.verdict.reason, "series_uid": self.first.series_uid}


def group_series(headers: Sequence[ImageHeader]) -> list[Series]:
    """Make series of images, those of several echoes once for each, in the order of their numbers."""
    groups: dict[str, list[ImageHeader]] = {}
    for header in headers:
        groups.setdefault(header.series_uid, []).append(header)
    series = [one for group in groups.values() for one in _split_echoes(group)]
    return sorted(series, key=lambda s: (s.number, s.echo, s.first.series_uid))


def _split_echoes(headers: Sequence[ImageHeader]) -> list[Series]:
    """Split a series by the time of its echoes, if these lie at the same places."""
    groups: dict[float, list[ImageHeader]] = {}
    for header in headers:
        echo = header.get_number("EchoTime")
        groups.setdefault(round(echo, 1) if np.isfinite(echo) else -1.0, []).append(header)
    sizes = {len(group) for group in groups.values()}
    if len(groups) == 1 or len(sizes) > 1 or sizes == {1}:
        return [_make_series(headers, 0)]
    return [_make_series(groups[time], index + 1) for index, time in enumerate(sorted(groups))]


def _make_series(headers: Sequence[ImageHeader], echo: int) -> Series:
    ordered_headers, stack = list(headers), None
    places: tuple[FramePlace, ...] = ()
    if all(header.places for header in headers):
        places = tuple(place for header in headers for place in header.places)
        stack = measure_stack(places)
        if len(places) == len(headers):
            ordered_headers = [headers[i] for i in stack.order]
        places = tuple(places[i] for i in stack.order)
    contrast = guess_contrast(ordered_headers[0])
    verdict = judge_series(ordered_headers, places, stack, contrast)
    return Series(tuple(ordered_headers), places, stack, contrast, echo, verdict)
