"""Whether the numbers of a CT are Hounsfield units."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array, Volume, VolumeError
from diffad.prepare.read import name_of
from diffad.prepare.record import Record

AIR, OFFSET = -500.0, 1024.0
"""Below it is air; what scanners add so that no stored number is negative."""


def check_units(volume: Volume, hu: str, record: Record) -> Volume:
    """Check that a CT is in Hounsfield units, where air is -1000, water 0 and brain 20 to 45.

    Args:
        volume: CT of one or more channels.
        hu: "check", or "shift" to subtract a forgotten offset of 1024.
        record: Where it is written down.

    Raises:
        VolumeError: If the values are no Hounsfield units; the message says what they look like.
    """
    with record.step("hounsfield", hu=hu) as told:
        found = guess_units(volume.data[0])
        told |= {"found": found, "lowest": float(volume.data.min()), "highest": float(volume.data.max())}
        if found in ("hu", "stripped"):
            return volume
        if found == "offset" and hu == "shift":
            told["shifted"] = -OFFSET
            record.warn(f"{name_of(volume)}: its values had an offset, so {OFFSET:g} was subtracted")
            return Volume(volume.data - np.float32(OFFSET), volume.affine, volume.origin)
        raise VolumeError(f"{name_of(volume)}: {_message(found, volume.data)}")


def guess_units(data: Array) -> str:
    """Say what the values of a CT (I, J, K) are: "hu", "stripped" (in HU), "offset", "bytes" or "unknown"."""
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


def _message(found: str, data: Array) -> str:
    ends = f"{data.min():g} to {data.max():g}"
    seen = {
        "offset": f"values from {ends} without air: the offset of -1024 (rescale intercept) was forgotten; "
        "convert the scan anew, or subtract it with hu='shift' (--hu shift)",
        "bytes": f"values from {ends}, as of a picture of 8 bits: convert the scan anew from DICOM",
    }
    other = f"values from {ends} without air; a scan cut to a window cannot be brought back"
    return f"expected Hounsfield units, with air near -1000, found {seen.get(found, other)}"
