"""Where skull and skin lie around a brain; the template shows neither."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array

CLOSING_RADIUS = 14.0
"""Half the width of the gaps in the brain that the skull bridges, in mm."""

BASE_HEIGHT = -18.0
"""Height below which face and neck fill the outline of the head, in mm."""


def measure_surfaces(brain: Array, pitch: float, bottom: float) -> Array:
    """Measure the distances from the hull of a brain, and from the head before skull and skin are added.

    Args:
        brain: Mask (I, J, K).
        pitch: Edge of a voxel, in mm.
        bottom: Height of the lowest voxels, in mm.

    Returns:
        Signed distances in mm, negative inside, (2, I, J, K).
    """
    hull = _close_gaps(brain, CLOSING_RADIUS / pitch)
    level = round((BASE_HEIGHT - bottom) / pitch)
    outline = hull.copy()
    # face and neck go straight down from where the skull is widest
    outline[..., :level] |= hull[..., level : level + 1]
    return np.stack([_measure_distance(mask, pitch) for mask in (hull, outline)]).astype(np.float32)


def _close_gaps(mask: Array, radius: float) -> Array:
    from scipy.ndimage import distance_transform_edt as edt

    rim = round(radius) + 1
    frame = np.pad(mask, rim, mode="edge")  # the brain stem leaves the box at the bottom
    dilation = edt(~frame) <= radius
    bridged_mask: Array = edt(dilation) > radius
    return bridged_mask[(slice(rim, -rim),) * 3] | mask


def _measure_distance(mask: Array, pitch: float) -> Array:
    from scipy.ndimage import distance_transform_edt as edt
    from scipy.ndimage import gaussian_filter

    rim = 8
    frame = np.pad(mask, rim, mode="edge")
    distance = pitch * (edt(~frame) - edt(frame))
    smooth: Array = gaussian_filter(distance, 2.0)[(slice(rim, -rim),) * 3]
    return smooth
