"""Detections on another grid, without the crumbs that falling apart there makes of them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffad.data.detections import label_detections
from diffad.data.volume import Array

CRUMB = 0.1
"""Share of its detection below which a piece is a crumb."""


def drop_crumbs(labels: Array) -> Array:
    r"""Drop the crumbs of detections that were brought to another grid.

    Nearest voxels of thick slices tear a thin bridge or a ragged rim apart. Of the pieces :math:`p` of a
    detection :math:`d` those stay for which

    .. math:: |p| \ge \min(\max_q |q|, .1 \sum_q |q|), \quad q \subseteq d

    so that the largest always does, and no detection is lost.

    Args:
        labels: Number of the detection that each voxel belongs to, (I, J, K), int, 0 elsewhere.

    Returns:
        What is left, (I, J, K), bool.
    """
    clean = np.zeros(labels.shape, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is not None:
            detection = labels[box] == number
            clean[box] |= _drop_small_pieces(detection)
    return clean


def _drop_small_pieces(mask: Array) -> Array:
    pieces = label_detections(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    large: Array = sizes >= min(sizes.max(), CRUMB * sizes.sum())
    large[0] = False
    return large[pieces]
