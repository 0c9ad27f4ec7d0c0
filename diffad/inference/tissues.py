"""Which tissue is bright and which dark in a scan, from where the tissues lie in any brain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from diffad.data.brain_box import BOX_SHAPE
from diffad.data.volume import Array

PRIOR_FILE = Path(__file__).parents[1] / "data" / "prior" / "tissues.safetensors"
"""Share of fluid, grey and white matter in the cells of the brain's box; see its README."""
LEAST_COVER = 0.6
"""Share of a cell that is brain, in cells that are looked at."""
ROUNDS = 10
"""Rounds of the robust fit."""
MARGIN = 0.04
"""Difference of two tissues, of the bright end of the brain, by which one counts as brighter."""


@dataclass(frozen=True)
class TissueContrast:
    """Mean intensities of the tissues, as shares of the 90th percentile of the brain.

    Args:
        fluid: Cerebrospinal fluid.
        grey: Grey matter.
        white: White matter.
    """

    fluid: float
    grey: float
    white: float

    @property
    def sequence(self) -> str | None:
        """What such an order of the tissues is typical of: "T1", "T2", "FLAIR", or none of them."""
        f, g, w = self.fluid, self.grey, self.white
        if w > g + MARGIN and g > f + MARGIN:
            return "T1"
        if f > g + MARGIN and g > w + MARGIN:
            return "T2"
        return "FLAIR" if g > w + MARGIN and w > f else None


@cache
def load_tissue_prior() -> Array:
    """Load the share of fluid, grey and white matter by cell of the brain's box, (3, 16, 20, 16)."""
    from safetensors.numpy import load_file

    shares: Array = load_file(PRIOR_FILE)["shares"].astype(np.float32) / 255
    return shares


def fit_tissues(means: Tensor, cover: Tensor) -> TissueContrast:
    r"""Fit the mean intensity of each tissue to a scan in the box of its brain.

    .. math:: \mu = \arg\min_\mu \sum_i \rho\!\left(y_i - \sum_k p_{ik} \mu_k\right)

    with the shares :math:`p` of the tissues and Huber's :math:`\rho`, so that a lesion does not count much.

    Args:
        means: Mean intensities :math:`y` of the cells, (16, 20, 16).
        cover: Share of brain in the cells, (16, 20, 16).

    Raises:
        ValueError: If the shapes are others, or hardly a cell is covered.
    """
    prior = load_tissue_prior()
    if means.shape != BOX_SHAPE or cover.shape != BOX_SHAPE:
        raise ValueError(f"expected cells {BOX_SHAPE}, got {tuple(means.shape)} and {tuple(cover.shape)}")
    cells = (cover.numpy() > LEAST_COVER) & (prior.sum(0) > LEAST_COVER)
    if cells.sum() < 100:
        raise ValueError(f"expected a brain that fills its box, found {int(cells.sum())} cells with brain")
    shares = prior[:, cells].T.astype(np.float64)
    mu = _fit_robustly(shares / shares.sum(1, keepdims=True), means.double().numpy()[cells])
    return TissueContrast(*(float(v) for v in mu))


def _fit_robustly(shares: Array, values: Array) -> Array:
    weight = np.ones(len(values))
    for _ in range(ROUNDS):
        root = np.sqrt(weight)
        mu: Array = np.linalg.lstsq(shares * root[:, None], values * root, rcond=None)[0]
        error = np.abs(values - shares @ mu)
        weight = np.minimum(1, 1.5 * 1.48 * np.median(error) / np.maximum(error, 1e-9))
    return mu
