"""The anomaly map as a DICOM parametric map on the images of the series."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.dicom.writer_facts import NOTICE, ObjectFacts
from diffad.dicom.writer_result import StoredResult
from diffad.io.extras import import_extra


def make_parametric_map(result: StoredResult, frames: Array, facts: ObjectFacts) -> Any:
    """Make the parametric map of the anomaly map, in 32-bit floating point, as its values are.

    Args:
        result: The result.
        frames: The map at each pixel of the series, (N, rows, columns), float32.
        facts: What all objects have in common.

    Returns:
        The object of highdicom.
    """
    highdicom, codes = import_extra("highdicom", "dicom"), import_extra("pydicom.sr.codedict", "dicom").codes
    top = float(max(frames.max(), 2 * float(result.info.get("threshold") or 0), np.finfo(np.float32).tiny))
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label="anomaly",
        lut_explanation="anomaly score, higher is less healthy",
        unit=codes.UCUM.NoUnits,
        value_range=(float(frames.min()), float(frames.max())),
        slope=1.0,
        intercept=0.0,
    )
    item = highdicom.pm.ParametricMap(
        source_images=facts.series.headers,
        pixel_array=frames,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=top / 2,
        window_width=top,
        content_label="ANOMALY_MAP",
        content_description=f"anomaly map of diffad, {NOTICE}",
        **facts.describe_object("anomaly"),
    )
    return facts.settle(item, "anomaly")
