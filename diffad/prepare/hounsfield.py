"""Checking that the values of a CT are Hounsfield units."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array, Volume, VolumeError
from diffad.prepare.record import Record

AIR, OFFSET = -500.0, 1024.0
"""Upper limit of air, and the offset that scanners add so that no stored value is negative."""


def check_units(volume: Volume, hu: str, record: Record) -> Volume:
    """Check that a CT is in Hounsfield units, where air is -1000, water 0 and brain 20 to 45.

    Args:
        volume: CT of one or more channels.
        hu: "check", or "shift" to subtract a forgotten offset of 1024.
        record: Record of the scan, which gets a step.

    Raises:
        VolumeError: If the values are no Hounsfield units; the message says what they seem to be.
    """
    with record.step("hounsfield", hu=hu) as entry:
        units = guess_units(volume.data[0])
        entry |= {"found": units, "lowest": float(volume.data.min()), "highest": float(volume.data.max())}
        if units in ("hu", "stripped"):
            return volume
        if units == "offset" and hu == "shift":
            entry["shifted"] = -OFFSET
            record.warn(
                f"{volume.name}: expected Hounsfield units, found an offset; {OFFSET:g} was subtracted"
            )
            return Volume(volume.data - np.float32(OFFSET), volume.affine, volume.origin)
        raise VolumeError(f"{volume.name}: {_describe_units(units, volume.data)}")


def guess_units(data: Array) -> str:
    """Guess what the values of a CT (I, J, K) are: "hu", "stripped", "offset", "bytes" or "unknown".

    Values of a CT without its skull ("stripped") are Hounsfield units, too.
    """
    sample = data[:: max(1, data.shape[0] // 128), :: max(1, data.shape[1] // 128)]
    if float((sample < AIR).mean()) >= 0.01:
        return "hu"
    zero, values = float((sample == 0).mean()), sample[sample != 0]
    low, middle, high = (float(v) for v in np.percentile(values if values.size else sample, (1, 50, 99)))
    if zero > 0.2 and 5 <= middle <= 70 and low > -150 and high <= 250:
        return "stripped"
    if low >= 0 and high > 1000:
        return "offset"
    return "bytes" if sample.min() >= 0 and sample.max() <= 255 else "unknown"


def _describe_units(units: str, data: Array) -> str:
    span = f"{data.min():g} to {data.max():g}"
    texts = {
        "offset": f"values from {span} without air, as if the offset of -1024 (rescale intercept) had been "
        "forgotten; convert the scan again, or subtract the offset with hu='shift' (--hu shift)",
        "bytes": f"values from {span}, as in an image of 8 bits; convert the scan again from DICOM",
    }
    fallback = f"values from {span} without air; convert the scan again, without cutting it to a window"
    return f"expected Hounsfield units, with air near -1000, found {texts.get(units, fallback)}"
