"""Whether what is flagged lies in one lump, as a lesion does, or all over the brain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from torch import Tensor

from diffad.data.volume import Array

WINDOW_MM, DENSITY = 25.0, 0.7
"""Edge of the box around a voxel in which flagged ones are counted, and the least share of them in a lump.
Boxes of 15 to 30 mm and shares of .5 to .8 were tried: these keep lumps and scatter the furthest apart."""


def measure_lump(marks: Tensor, analysed: Tensor, spacing: Sequence[float]) -> float:
    r"""Return the share of flagged voxels that lies in the largest lump.

    A lump is a connected set of flagged voxels around which most others are flagged, too; its rim is lost:

    .. math:: \left\{ v \in M : |M \cap W_v| > 0.7 \, |A \cap W_v| \right\}

    with the flagged voxels :math:`M`, what was analysed :math:`A`, and the box :math:`W_v` around a voxel.
    Plain components would not do: voxels that are scattered at random hang together from a tenth on.

    Args:
        marks: What is flagged, (*S), boolean.
        analysed: What was looked at, (*S), boolean.
        spacing: Edges of a voxel in mm, one for each axis.
    """
    mask: Array = analysed.cpu().numpy()
    flags: Array = marks.cpu().numpy() & mask
    count = int(flags.sum())
    if not count:
        return 0.0
    sizes = [min(n, 1 + 2 * round(WINDOW_MM / mm / 2)) for n, mm in zip(flags.shape, spacing, strict=True)]
    around, whole = (
        ndimage.uniform_filter(x.astype(np.float32), sizes, mode="constant") for x in (flags, mask)
    )
    labels, number = ndimage.label(flags & (around > DENSITY * whole), np.ones([3] * flags.ndim))
    return float(np.bincount(labels.ravel())[1:].max()) / count if number else 0.0
