"""The detections of a mask: its connected components, numbered alike wherever they are counted."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array


def label_detections(mask: Array, axes: int = 3) -> Array:
    """Number the detections of a mask.

    Args:
        mask: What is detected, (I, J, K), bool.
        axes: Over how many axes voxels that belong together may differ: 1 (faces, 6 neighbours), 2 (edges
            too, 18) or 3 (corners too, 26).

    Returns:
        Numbers from 1 on and 0 elsewhere, (I, J, K), int32.
    """
    labels: Array = np.empty(mask.shape, dtype=np.int32)
    ndimage.label(mask, ndimage.generate_binary_structure(3, axes), output=labels)
    return labels
