"""Whether a scan is one of those a model knows, before and after it was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.hounsfield import guess_units
from diffad.data.intensity import IntensityWindow
from diffad.data.names import strip_sequence
from diffad.data.volume import Volume
from diffad.inference.output import AnomalyOutput
from diffad.inference.scan import ScanSource
from diffad.threshold import Calibration

USUAL_SHARE, OTSU_SHARE, LEAST_LIMIT, TIMES = 0.2, 0.5, 0.1, 5.0
"""Share of the brain that lesions hardly exceed, and that hardly lies above Otsu's threshold in any scan;
smallest limit beside a calibrated rate, and its multiple."""
DARK_END = 0.6
"""Share of the bright end of a brain that its dark end hardly exceeds, as there is fluid in it."""
SEQUENCES = ("t1", "t1w", "t1c", "t1ce", "t1gd", "t2", "t2w", "flair", "pd", "pdw", "dwi", "adc", "swi", "ct")
"""Last words of names that say which sequence a scan is."""


def list_domain_warnings(source: ScanSource, config: Mapping[str, Any]) -> list[str]:
    """List in what a scan differs from those a model was trained on, as far as its values and name say.

    Args:
        source: The scan.
        config: Settings of the model, with its space and, where known, its sequences.
    """
    if source.volume is None:
        return []
    warnings = [_compare_modality(source.volume, config["space"]["intensity"])]
    warnings += [_compare_sequence(source.volume.path, config.get("sequences"))]
    return [warning for warning in warnings if warning]


def list_window_warnings(windows: Sequence[IntensityWindow], space: Mapping[str, Any]) -> list[str]:
    """Say so if the zero of a scan is not 0, but its constant background."""
    if not _keeps_zero(space):
        return []
    zeros = sorted({lower for window in windows for lower in window.lower if lower})
    values = ", ".join(f"{zero:.4g}" for zero in zeros)
    text = f"its background is {values}, not 0, and taken for the zero of its intensities"
    return [text] if zeros else []


def list_share_warnings(
    output: AnomalyOutput, calibration: Mapping[str, Any] | None, fpr: float
) -> list[str]:
    """Say so if far more is flagged than a model flags in scans that it knows.

    Of a calibrated model it is the share above its own threshold, whatever threshold was asked for; of others
    that of the detections.

    Args:
        output: Maps, detections, and where the threshold of these comes from.
        calibration: Thresholds from healthy scans, see ``Calibration``, or none.
        fpr: Which of its false-positive rates.
    """
    threshold = _find_own_threshold(calibration, fpr)
    if threshold is None:
        is_otsu = output.info["threshold_rule"] == "otsu"
        flagged, limit = output.mask.bool(), OTSU_SHARE if is_otsu else USUAL_SHARE
        usual = f"lesions hardly take more than {USUAL_SHARE:.0%}"
    else:
        flagged, limit = output.anomaly_map > threshold, _choose_limit(fpr)
        usual = f"about {100 * fpr:.3g}% of a healthy scan is expected to be"
    shares = [_measure_share(*item) for item in zip(flagged, output.analysed.bool(), strict=True)]
    if (worst := max(shares)) <= limit:
        return []
    count = f" in {sum(s > limit for s in shares)} of {len(shares)} items" if len(shares) > 1 else ""
    return [
        f"{worst:.0%} of what was looked at is flagged{count}, and {usual}: this scan is probably unlike "
        "those the model was trained on (another sequence, scanner, preparation or brain mask), so do not "
        "take its map for lesions"
    ]


def _find_own_threshold(calibration: Mapping[str, Any] | None, fpr: float) -> float | None:
    """Return the calibrated threshold of a rate; none where there is no such threshold."""
    try:
        return Calibration.from_dict(calibration).threshold(fpr) if calibration else None
    except ValueError:
        return None


def _choose_limit(fpr: float) -> float:
    """Return the share that is far above a calibrated rate: five times it, from 10 % to 20 % or twice it."""
    return min(max(TIMES * fpr, LEAST_LIMIT), max(USUAL_SHARE, 2 * fpr))


def _measure_share(flagged: Tensor, analysed: Tensor) -> float:
    return float(torch.count_nonzero(flagged & analysed)) / max(1, int(analysed.sum()))


def _compare_modality(volume: Volume, intensity: str) -> str | None:
    if intensity == "ct" or volume.data.min() > -900 or guess_units(volume.data[0]) != "hu":
        return None
    return "the model was trained on MRI, and this scan looks like a CT: it has air near -1000"


def list_offset_warnings(source: ScanSource, window: IntensityWindow, space: Mapping[str, Any]) -> list[str]:
    """Say so if even the darkest of a brain is bright, as after adding a constant to z-scores.

    Args:
        source: The scan.
        window: Its intensity window.
        space: Settings of the model's space.
    """
    if source.volume is None or not _keeps_zero(space):
        return []
    brain = source.brain[0, 0]
    for channel, zero in zip(source.image[0], window.lower, strict=True):
        low, high = (float(p) - zero for p in np.percentile(channel[brain].numpy(), (1, 99)))
        if low > DARK_END * high:
            return [
                f"the darkest of its brain is {low / high:.0%} as bright as the brightest, as after adding a "
                "constant; this model needs the zero of the scan, so give the scan as it was before"
            ]
    return []


def _keeps_zero(space: Mapping[str, Any]) -> bool:
    return space["intensity"] != "ct" and space["low"] is None


def _compare_sequence(path: Path | None, names: Sequence[str] | None) -> str | None:
    if path is None or not names or any(strip_sequence(path, name) is not None for name in names):
        return None
    others = [word for word in SEQUENCES if strip_sequence(path, word) is not None]
    known = ", ".join(names)
    return f"the model was trained on {known}, and this scan is named {others[-1]}" if others else None
