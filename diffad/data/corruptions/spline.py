"""Values of an image between its voxels."""

from __future__ import annotations

import numpy as np

from diffad.data.corruptions.shape import Floats

MARGIN = 8
"""Voxels around the points that are read, too: a voxel's weight falls by 0.27 a step, to 3e-5 here."""


def sample_spline(image: Floats, points: Floats) -> Floats:
    """Read an image by cubic splines; beyond its border its outermost voxels go on.

    Args:
        image: Image, (C, *S).
        points: Positions, (n, K), in voxels.

    Returns:
        Values, (C, K).
    """
    from scipy.ndimage import map_coordinates

    if not points.shape[1]:
        return np.zeros((len(image), 0))
    low = np.maximum(np.floor(points.min(1)).astype(int) - MARGIN, 0)
    high = np.ceil(points.max(1)).astype(int) + MARGIN + 1
    crop = image[(slice(None), *(slice(a, b) for a, b in zip(low, high, strict=True)))]
    local_points = points - low[:, None]
    return np.stack([map_coordinates(channel, local_points, order=3, mode="nearest") for channel in crop])
