"""Whether a series shows the scan that a result was made of: places alone do not tell two heads apart."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array, Volume
from diffad.dicom.references import SourceSeries
from diffad.dicom.writer_packages import DicomError, hush_packages
from diffad.dicom.writer_places import SeriesPlacement
from diffad.io.extras import import_extra

LEAST_LIKENESS, GOOD_LIKENESS = 0.5, 0.9
"""Correlation in the brain below which a series is another scan, and below which that is in doubt."""
MOST_IMAGES = 12
"""Images that are compared."""


def measure_likeness(
    series: SourceSeries, placement: SeriesPlacement, scan: Volume, brain: Array
) -> float | None:
    """Return the correlation of images and scan in the part that was analysed; none if it cannot be told.

    Args:
        series: The series.
        placement: Where its pixels lie in the scan.
        scan: The scan, of which the first sequence is compared.
        brain: Part of the brain that was analysed, (I, J, K), bool.
    """
    inside = placement.take_labels(brain)
    images = [int(k) for k in np.flatnonzero(inside.any((1, 2)))]
    images = images[:: max(1, -(-len(images) // MOST_IMAGES))]
    if not images:
        return None
    values = placement.pick(images).take_values(scan.data[0])[inside[images]]
    pixels = _read_pixels(series, images)
    if pixels is None:
        return None
    grey = pixels[inside[images]]
    if len(values) < 2 or not values.std() or not grey.std():
        return None
    return float(np.corrcoef(values.astype(np.float64), grey)[0, 1])


def _read_pixels(series: SourceSeries, images: list[int]) -> Array | None:
    """Read some images in their own unit, (n, rows, columns); none where no codec is there."""
    pydicom = import_extra("pydicom", "dicom")
    frames = []
    with hush_packages():
        for k in images:
            try:
                image = pydicom.dcmread(series.paths[k])
                slope, shift = (
                    float(image.get(key, default))
                    for key, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
                )
                frames.append(image.pixel_array.astype(np.float64) * slope + shift)
            except Exception:  # whatever a codec says of pixels it does not know
                return None
    return np.stack(frames)


def judge_likeness(series: SourceSeries, likeness: float | None, is_named: bool) -> tuple[str, ...]:
    """Refuse a series that shows another scan, and say what is in doubt.

    Args:
        series: The series.
        likeness: As ``measure_likeness`` returns it.
        is_named: Whether the result says by itself that it was made of this series.

    Raises:
        DicomError: If it is another scan.
    """
    if likeness is None:
        if is_named:
            return ()
        return (f"{series.folder}: the scan of the result could not be compared with these images",)
    if likeness < LEAST_LIKENESS:
        raise DicomError(
            f"{series.folder}: expected images of the scan that the result was made of, found others "
            f"(correlation in the brain {likeness:.2f})"
        )
    if likeness < GOOD_LIKENESS:
        return (
            f"{series.folder}: images and scan differ (correlation in the brain {likeness:.2f}); "
            "check that they are of one person and sequence",
        )
    return ()
