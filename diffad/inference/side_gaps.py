"""Tissue that one side of a brain lacks beside the other, as after a resection or where a mask has a hole."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from torch import Tensor

from diffad.inference.tissues import MARGIN, TissueContrast

CUBE = 21
"""Cells of the cube that is summed over, some 42 mm: a ball of 60 ml is 49 mm wide."""


def measure_side_gap(means: Tensor, cover: Tensor, tissues: TissueContrast | None, ml: float) -> float:
    r"""Measure the largest gap on one side alone, in ml.

    .. math:: g = \max_q \sum_{p \in Q(q)} \left( v(p) - v(\bar p) \right) V, \quad
              v = 1 - c \, [y > (\mu_f + \mu_g) / 2]

    with the cube :math:`Q` around a cell, its mirror cell :math:`\bar p`, and the volume :math:`V` of a cell.
    Where fluid is not the darkest of the tissues, :math:`v = 1 - c`: a bright lesion is no gap.

    Args:
        means: Mean intensities :math:`y` of fine cells of the brain's box, left to right first.
        cover: Share of brain :math:`c` in the cells.
        tissues: Levels of fluid :math:`\mu_f` and grey matter :math:`\mu_g`, or none.
        ml: Volume of the box, in ml.
    """
    tissue = cover
    if tissues is not None and tissues.fluid < min(tissues.grey, tissues.white) - MARGIN:
        tissue = cover * (means > (tissues.fluid + tissues.grey) / 2)
    gap = (tissue.flip(0) - tissue).numpy()
    sums = ndimage.uniform_filter(gap, CUBE, mode="constant") * CUBE**3
    return float(np.max(sums)) * ml / gap.size
