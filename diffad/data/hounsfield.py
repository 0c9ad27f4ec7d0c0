"""Telling whether the values of a CT are Hounsfield units, and what they are else."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array, VolumeError

AIR, OFFSET, PADDING = -500.0, 1024.0, -1100.0
"""Upper limit of air; offset that scanners add so that no stored value is negative; lower limit of air.

Scanners fill the corners around a round field with such values, -2000 or -3024.
"""
SOFT, SHIFTED = (-150.0, 150.0), (974.0, 1124.0)
"""Soft tissue, and soft tissue with the offset."""
BRAIN, BRAIN_WINDOW = (5.0, 60.0), (-100.0, 150.0)
"""Where the median of a brain lies, and between which bounds a window is one for brains."""


def guess_units(data: Array) -> str:
    """Guess what the values of a CT (I, J, K) are: "hu", "stripped", "offset", "bytes", "unit" or "unknown".

    Values of a CT without its skull ("stripped") are Hounsfield units, too; "unit" is a range of about 1.
    """
    sample = data[:: max(1, data.shape[0] // 128), :: max(1, data.shape[1] // 128)]
    if float(sample.max()) - float(sample.min()) <= 2:
        return "unit"
    is_padding = sample < PADDING
    sample = sample[~is_padding] if is_padding.any() and not is_padding.all() else sample
    soft, shifted = _measure_share(sample, SOFT), _measure_share(sample, SHIFTED)
    if float((sample < AIR).mean()) >= 0.01:
        # with the offset air itself is near 24, and only what was filled in later is darker
        return "offset" if shifted > 0.1 * soft else "hu" if soft else "unknown"
    zero, values = float((sample == 0).mean()), sample[sample != 0]
    low, middle, high = (float(v) for v in np.percentile(values if values.size else sample, (1, 50, 99)))
    if zero > 0.2 and 5 <= middle <= 70 and low > -150 and high <= 250:
        return "stripped"
    if low >= 0 and high > 1000:
        return "offset"
    return "bytes" if sample.min() >= 0 and sample.max() <= 255 else "unknown"


def describe_units(units: str, data: Array) -> str:
    """Say what was expected of a CT, and what its values seem to be."""
    span = f"{data.min():g} to {data.max():g}"
    texts = {
        "offset": f"values from {span} without air, as if the offset of -1024 (rescale intercept) had been "
        "forgotten; convert the scan again, or subtract the offset with hu='shift' (--hu shift)",
        "bytes": f"values from {span}, as in an image of 8 bits; convert the scan again from DICOM",
        "unit": f"values from {span}, as in a scan scaled to 0..1; convert the scan again from DICOM",
    }
    fallback = f"values from {span} without air; convert the scan again, without cutting it to a window"
    return f"expected Hounsfield units, with air near -1000, found {texts.get(units, fallback)}"


def check_brain_units(x: Array, brain: Array, window: tuple[float, float]) -> None:
    """Check that the brain of a CT has values that the window of a model can show.

    Its median lies in the window, near that of a brain and most of it soft tissue where the window is one for
    brains, and its values differ by at least a twentieth of the window.

    Args:
        x: One channel of a CT, (*S).
        brain: Brain mask, (*S), bool, not empty.
        window: Intensities that become 0 and 1.

    Raises:
        VolumeError: If it does not; the message says what the values seem to be.
    """
    lower, upper = window
    values = x[brain]
    low, middle, high = (float(v) for v in np.percentile(values, (1, 50, 99)))
    spread = min(high, upper) - max(low, lower)
    is_brain_window = BRAIN_WINDOW[0] <= lower < upper <= BRAIN_WINDOW[1]
    is_brain = (
        BRAIN[0] <= middle <= BRAIN[1] and not _is_shifted(values) and _measure_share(values, SOFT) > 0.8
    )
    suits_brain = is_brain or not is_brain_window
    if suits_brain and lower <= middle <= upper and spread >= 0.05 * (upper - lower):
        return
    units = "offset" if is_brain_window and _is_shifted(values) else _guess_brain_units(x, middle)
    place = f"brain from {low:.4g} to {high:.4g}, its median {middle:.4g}"
    raise VolumeError(
        f"expected a CT in Hounsfield units, as the model's window is {lower:g} to {upper:g}, found a {place}"
        f"{REASONS[units]}"
    )


REASONS = {
    "hu": ", although the scan around it is in these units; check the brain mask, or give one with --mask",
    "offset": ", as if the offset of -1024 (rescale intercept) had been forgotten; convert the scan again, "
    "or subtract the offset: diffad prepare --modality ct --hu shift",
    "bytes": ", as in an image of 8 bits (0 to 255); convert the scan again from DICOM",
    "unit": ", as in a scan scaled to 0..1; convert the scan again from DICOM",
    "unknown": ", as in an MRI or a scaled CT; convert the scan again from DICOM, or take another model",
}
"""What the values of a brain may mean."""


def _guess_brain_units(x: Array, middle: float) -> str:
    if SHIFTED[0] <= middle <= SHIFTED[1]:
        return "offset"
    units = guess_units(x.reshape(x.shape[0], -1)[:, :, None])
    return {"stripped": "hu", "offset": "unknown"}.get(units, units)


def _is_shifted(values: Array) -> bool:
    """Tell whether there is soft tissue with the offset beside what looks like soft tissue and may be air."""
    return _measure_share(values, SHIFTED) > max(0.02, 0.1 * _measure_share(values, SOFT))


def _measure_share(values: Array, limits: tuple[float, float]) -> float:
    return float(((values > limits[0]) & (values < limits[1])).mean())
