"""Detections as a DICOM segmentation: a binary segment for each of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.dicom.writer_facts import MAKER, NOTICE, ObjectFacts
from diffad.dicom.writer_result import StoredResult
from diffad.inference.lesions import Lesion, describe_place
from diffad.io.extras import import_extra
from diffad.io.version import __version__

LABEL = 64
"""Characters of a segment's label."""
COLOURS = ((55, 72, 58), (84, -2, 80), (65, -52, 45), (70, -30, -30), (52, 60, -50), (74, 30, 75))
"""Of the segments in turn, in CIELab: red, yellow, green, cyan, violet, orange."""


def make_segmentation(result: StoredResult, frames: Array, facts: ObjectFacts) -> Any:
    """Make the segmentation of the detections.

    Args:
        result: The result.
        frames: Number of the detection at each pixel of the series, 0 elsewhere, (N, rows, columns).
        facts: What all objects have in common.

    Returns:
        The object of highdicom; none if no pixel is of a detection.
    """
    numbers = np.unique(frames[frames > 0])
    if not len(numbers):
        return None
    seg = import_extra("highdicom.seg", "dicom")
    segments = np.zeros(int(numbers[-1]) + 1, np.uint16)
    segments[numbers] = np.arange(1, len(numbers) + 1)
    by_number = {detection.number: detection for detection in result.detections}
    detections = [by_number[int(number)] for number in numbers]
    item = seg.Segmentation(
        source_images=facts.series.headers,
        pixel_array=segments[frames],
        segmentation_type=seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe_segment(k, d, result, facts) for k, d in enumerate(detections, 1)],
        content_label="DETECTIONS",
        content_description=f"detections of diffad, {NOTICE}",
        **facts.describe_object("detections"),
    )
    return facts.settle(item, "detections")


def name_segment(detection: Lesion) -> str:
    """Name a detection by its number, place and volume, in at most 64 characters."""
    start, end = f"{detection.number}: ", f", {detection.volume_ml:.2f} ml"
    place, room = describe_place(detection).replace("\\", " "), LABEL - len(start) - len(end)
    return start + (place if len(place) <= room else f"{place[: room - 3]}...") + end


def _describe_segment(number: int, detection: Lesion, result: StoredResult, facts: ObjectFacts) -> Any:
    highdicom = import_extra("highdicom", "dicom")
    codes = import_extra("pydicom.sr.codedict", "dicom").codes
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name_segment(detection),
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=f"{MAKER} {result.model}"[:LABEL],
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
        ),
        tracking_uid=facts.derive_uid("detection", str(detection.number)),
        tracking_id=f"detection {detection.number}",
        anatomic_regions=[codes.SCT.Brain],
        display_color=highdicom.color.CIELabColor(*map(float, COLOURS[(number - 1) % len(COLOURS)])),
    )
