"""Where skull and skin lie around a brain, which the template has lost."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Array

CLOSE = 14.0
"""Gaps of the brain up to twice this width are bridged by the skull, in mm."""

BASE = -18.0
"""Height below which face and neck fill the outline that the head has there, in mm."""


def measure_surfaces(brain: Array, pitch: float, bottom: float) -> Array:
    """Measure the distance from the hull of a brain, and from the head before skull and skin are added.

    Args:
        brain: Mask (I, J, K).
        pitch: Edge of a voxel, in mm.
        bottom: Height of the lowest voxels, in mm.

    Returns:
        Signed distances in mm, negative inside, (2, I, J, K).
    """
    hull = _closed(brain, CLOSE / pitch)
    level = round((BASE - bottom) / pitch)
    whole = hull.copy()
    # face and neck go straight down from where the skull is widest
    whole[..., :level] |= hull[..., level : level + 1]
    return np.stack([_distance(mask, pitch) for mask in (hull, whole)]).astype(np.float32)


def _closed(mask: Array, radius: float) -> Array:
    from scipy.ndimage import distance_transform_edt as edt

    rim = round(radius) + 1
    padded = np.pad(mask, rim, mode="edge")  # the brain stem leaves the box at the bottom
    grown = edt(~padded) <= radius
    closed: Array = edt(grown) > radius
    return closed[(slice(rim, -rim),) * 3] | mask


def _distance(mask: Array, pitch: float) -> Array:
    from scipy.ndimage import distance_transform_edt as edt
    from scipy.ndimage import gaussian_filter

    rim = 8
    padded = np.pad(mask, rim, mode="edge")
    signed = pitch * (edt(~padded) - edt(padded))
    smooth: Array = gaussian_filter(signed, 2.0)[(slice(rim, -rim),) * 3]
    return smooth
