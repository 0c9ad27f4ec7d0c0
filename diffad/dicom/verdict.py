"""Whether a series can be looked at, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffad.dicom.contrast import STRUCTURAL, UNKNOWN, name_part
from diffad.dicom.geometry import SliceStack
from diffad.dicom.header import NO_SERIES, ImageHeader
from diffad.dicom.places import FramePlace

IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
}
"""MR and CT images, plain, enhanced, and enhanced of the older kind."""
OTHER_CLASSES = (
    ("1.2.840.10008.5.1.4.1.1.7", "secondary capture"),
    ("1.2.840.10008.5.1.4.1.1.88", "structured report"),
    ("1.2.840.10008.5.1.4.1.1.66", "segmentation, registration or raw data"),
    ("1.2.840.10008.5.1.4.1.1.11", "presentation state"),
    ("1.2.840.10008.5.1.4.1.1.104", "document"),
    ("1.2.840.10008.5.1.4.1.1.481", "radiotherapy object"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "spectroscopy"),
    ("1.2.840.10008.5.1.4.1.1.30", "parametric map"),
)
HEAD_PARTS = ("HEAD", "BRAIN", "SKULL", "CEREB", "NEURO", "FACE", "ORBIT", "PITUITARY", "CRAN")
DERIVED_WORDS = {
    "MPR",
    "MIP",
    "MINIP",
    "PROJECTION IMAGE",
    "REFORMATTED",
    "MNIP",
    "VRT",
    "CSA MPR",
    "MPR_THICK",
}
SCREEN_WORDS = {"SCREENSHOT", "SCREEN SAVE", "SCREEN", "SECONDARY CAPTURE", "CSAPARALLEL"}
MIN_EXTENT = 80.0
"""Series that cover less of the head along their slices, in mm, show no whole brain."""
MIN_SIDE = 16
"""Fewest columns and rows."""


@dataclass(frozen=True)
class Verdict:
    """What is made of a series.

    Args:
        reason: Why it is passed over; empty if it is usable.
        is_final: Whether it cannot be looked at even if it is asked for by name.
    """

    reason: str = ""
    is_final: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether it is looked at without being asked for by name."""
        return not self.reason


def judge_series(
    headers: Sequence[ImageHeader], places: Sequence[FramePlace], stack: SliceStack | None, contrast: str
) -> Verdict:
    """Say whether a series can be looked at.

    Args:
        headers: Its images.
        places: Where its frames lie.
        stack: How these lie to one another, or none.
        contrast: What it shows.
    """
    if reason := _name_object(headers) or _find_fault(headers, places, stack):
        return Verdict(reason, is_final=True)
    assert stack is not None
    return Verdict(_name_kind(headers, contrast, stack) or _name_extent(places, stack))


def _name_object(headers: Sequence[ImageHeader]) -> str:
    """Name what is no image of MR or CT."""
    for header in headers:
        if header.sop_class and header.sop_class not in IMAGE_CLASSES:
            kinds = [name for start, name in OTHER_CLASSES if header.sop_class.startswith(start)]
            return (
                kinds[0] if kinds else f"no MR or CT image ({header.get_text('Modality') or 'no modality'})"
            )
    if headers[0].series_uid == NO_SERIES:
        return "no SeriesInstanceUID, so that nothing says which images belong together"
    return ""


def _find_fault(
    headers: Sequence[ImageHeader], places: Sequence[FramePlace], stack: SliceStack | None
) -> str:
    """Say why no volume can be made of images."""
    if len({header.patient for header in headers}) > 1:
        return "images of two patients under one SeriesInstanceUID"
    if damage := sum(header.lacks_bytes for header in headers):
        return f"{damage} of {len(headers)} files are truncated"
    if stack is None:
        gaps = sum(not header.places for header in headers)
        return f"no pixel spacing, position or orientation in {gaps} of {len(headers)} images"
    shapes = {header.shape for header in headers}
    if len(places) > 1 and not stack.is_parallel:
        return "slices of several orientations, as a localiser has them"
    if len(shapes) > 1 or not stack.is_even:
        return f"images of {max(len(shapes), 2)} sizes under one SeriesInstanceUID"
    if len(places) == 1:
        return "single slice"
    if min(headers[0].shape) < MIN_SIDE:
        return f"images of {headers[0].shape[0]} x {headers[0].shape[1]} pixels"
    return _find_gaps(places, stack)


def _find_gaps(places: Sequence[FramePlace], stack: SliceStack) -> str:
    """Say what of a row of slices is missing or there more than once."""
    if stack.repeats > 1:
        return f"4-D series: {stack.repeats} images at each of {len(places) // stack.repeats} places"
    if stack.repeats == 0:
        return "several images at some places and one at others, as of two series mixed"
    if not stack.is_equidistant:
        distances = f"slices lie {stack.smallest:.3g} to {stack.largest:.3g} mm apart"
        count = f"{stack.gaps} gap{'s' * (stack.gaps != 1)}"
        return f"{distances}: {count}, so slices are missing or their distance varies"
    return ""


def _name_kind(headers: Sequence[ImageHeader], contrast: str, stack: SliceStack) -> str:
    """Name images that could be looked at but are not of the head's anatomy as it was scanned."""
    first = headers[0]
    words, part = set(first.image_type), first.get_text("BodyPartExamined").upper()
    if words & SCREEN_WORDS:
        return "screenshot"
    if "LOCALIZER" in words or contrast == "localiser":
        return "localiser"
    if words & DERIVED_WORDS:
        return f"derived image ({', '.join(sorted(words & DERIVED_WORDS))})"
    if component := name_part(first):
        return f"{component} image"
    if contrast not in (*STRUCTURAL, UNKNOWN):
        return f"{contrast}, no anatomy"
    if part and not any(known in part for known in HEAD_PARTS):
        return f"body part {part[:20]}, not the head"
    return "derived image" if "DERIVED" in words else ""


def _name_extent(places: Sequence[FramePlace], stack: SliceStack) -> str:
    extent = len(places) * stack.smallest
    return f"covers {extent:.0f} mm of the head along its slices" if extent < MIN_EXTENT else ""
