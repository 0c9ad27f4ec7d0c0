"""Checking that the values of a CT are Hounsfield units."""

from __future__ import annotations

import numpy as np

from diffad.data.hounsfield import BRAIN, OFFSET, SHIFTED, describe_units, guess_units
from diffad.data.volume import Array, Volume, VolumeError
from diffad.prepare.record import Record


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
        raise VolumeError(f"{volume.name}: {describe_units(units, volume.data)}")


def check_brain(volume: Volume, brain: Array, record: Record) -> None:
    """Warn if the brain (I, J, K) of a CT in Hounsfield units has not the values of a brain.

    Raises:
        VolumeError: If it has those of a brain with a forgotten offset of 1024.
    """
    middle = float(np.median(volume.data[0][brain]))
    text = f"{volume.name}: expected a brain of 20 to 45 Hounsfield units, found a median of {middle:g}"
    if SHIFTED[0] <= middle <= SHIFTED[1]:
        raise VolumeError(f"{text}; the offset of -1024 (rescale intercept) was forgotten")
    if not BRAIN[0] <= middle <= BRAIN[1]:
        record.warn(f"{text}; look at the brain mask")
