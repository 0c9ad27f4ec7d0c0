"""What a calibration found, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping

from diffad.threshold import Calibration
from diffad.threshold.describe import describe_whole_scans


def describe_calibrations(calibrations: Mapping[str, Calibration], scans: int) -> str:
    """Say what each contrast was calibrated to; see ``describe_calibration``."""
    texts = [
        (f"{contrast}: " if contrast else "") + describe_calibration(calibration, scans)
        for contrast, calibration in calibrations.items()
    ]
    return "\n".join(texts)


def describe_calibration(calibration: Calibration, scans: int) -> str:
    """Say for each nominal rate the threshold, and the rate it reached on scans that were left out."""
    engine = f", {calibration.engine} in {calibration.precision}" if calibration.engine else ""
    held_out = ", each measured without its site" if calibration.held_out == "site" else ""
    lines = [f"{calibration.scans} of {scans} scans, {calibration.pixels:,} voxels{engine}{held_out}"]
    for rate, threshold in sorted(calibration.thresholds.items()):
        rate_text = (
            f"{calibration.achieved[rate]:.4f}" if rate in calibration.achieved else "unknown (one scan)"
        )
        lines.append(
            f"  nominal FPR {rate:g}: threshold {threshold:.5g}, achieved on left-out scans {rate_text}"
        )
    lines += describe_whole_scans(calibration.whole) if calibration.whole else []
    return "\n".join(lines)
