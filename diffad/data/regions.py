"""Where in a brain a place lies, by the box of the brain and its depth: no registration is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffad.data.volume import Array

REGIONS = ("cortical", "deep", "periventricular", "infratentorial")
"""Names of the regions."""

CORTEX_MM = 10.0
"""Largest depth below the surface of the brain that is called cortical, in mm."""

VENTRICLES = ((0.28, 0.72), (0.28, 0.78), (0.4, 0.72))
"""Fractions of the brain's box, left to right, back to front and bottom to top, around the ventricles."""

INFRATENTORIAL = (0.3, 0.6)
"""Highest fraction from the bottom, and from the back, of cerebellum and brain stem."""


def measure_depth(brain: Array, spacing: Sequence[float]) -> Array:
    """Measure how far below the surface of the brain each voxel lies, (I, J, K), in mm, 0 outside."""
    from scipy.ndimage import distance_transform_edt

    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(brain))
    depth = np.zeros(brain.shape, dtype=np.float32)
    frame = np.pad(brain[box], 1)
    depth[box] = distance_transform_edt(frame, spacing)[(slice(1, -1),) * 3]
    return depth


def find_regions(brain: Array, depth: Array) -> Array:
    """Number the region of each voxel (I, J, K) in RAS, as in ``REGIONS``; -1 outside the brain.

    Cerebellum and brain stem are what lies low and far back, whatever its depth; the outermost centimetre
    of the rest is cortical; around the middle of the box lie the ventricles; what is left is deep.
    """
    fractions = []
    for axis, index in enumerate(np.nonzero(brain)):
        first, last = int(index.min()), int(index.max())
        line = (np.arange(brain.shape[axis]) - first) / max(last - first, 1)
        fractions.append(np.expand_dims(line, [a for a in range(3) if a != axis]))
    x, y, z = fractions
    central = np.ones(brain.shape, dtype=bool)
    for line, (low, high) in zip(fractions, VENTRICLES, strict=True):
        central &= (low < line) & (line < high)
    low_back = (z < INFRATENTORIAL[0]) & (y < INFRATENTORIAL[1]) & np.ones_like(x, dtype=bool)
    regions = np.where(central, 2, 1)
    regions = np.where(depth <= CORTEX_MM, 0, regions)
    return np.where(brain, np.where(low_back, 3, regions), -1).astype(np.int8)
