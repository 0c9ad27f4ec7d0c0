"""The zero of a scan: the intensity of air, from which a window starts that keeps it."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array, VolumeError

RINGING = 0.01
"""Depth below 0 that interpolation may leave at edges, as a fraction of the range of the brain."""


def find_zero(values: Array, exterior: Array) -> float:
    """Return the intensity that stands for air.

    It is 0, or another background that is constant and no brighter than any of the brain, as after scaling a
    whole scan to [-1, 1] or adding a constant.

    Args:
        values: Intensities of the brain, (N,).
        exterior: Intensities around it, (M,).

    Raises:
        VolumeError: If a brain with negative values has no such background, as a z-scored one.
    """
    background = find_background(exterior)
    if background is not None and background != 0 and background <= float(values.min()):
        return background
    low, high = (float(p) for p in np.percentile(values, (1, 99)))
    if low >= -RINGING * (high - low):
        return 0.0
    share = float((values < 0).mean())
    raise VolumeError(
        "expected a brain of at least 0, as this model's intensities start at the zero of the scan "
        f"(space.low: null), found {share:.0%} of it below 0, from {values.min():.4g} to {values.max():.4g}, "
        "as in a z-scored scan, whose zero is lost, or a CT; give the scan as it was before, or a model "
        "trained with space.low=1, whose intensities start at a percentile of the brain"
    )


def find_background(exterior: Array) -> float | None:
    """Return the value that most voxels around the brain share; none if there is no such value."""
    if not exterior.size:
        return None
    middle = float(np.median(exterior))
    return middle if float((exterior == middle).mean()) > 0.5 else None


def find_border(data: Array) -> list[float]:
    """Return the background of each channel of a scan (C, I, J, K), in (C,).

    It is what most voxels of the faces are, 0 in a skull-stripped scan as it should be, and another constant
    after an offset or a scaling; 0 where the faces are noise. A brain in a tight box touches some faces.
    """
    return [_find_face_value(channel) for channel in data]


def _find_face_value(channel: Array) -> float:
    faces = [channel.take(index, axis).ravel() for axis in range(3) for index in (0, -1)]
    return find_background(np.concatenate(faces)) or 0.0
