r"""The lattices of OpenSimplex in two, three and four dimensions.

Cell n has its vertex at :math:`v = n + G s \mathbf 1, \; s = \sum_a n_a`, with the squish G. In skewed
coordinates vertices are whole numbers, and a difference u has length :math:`r^2 = |u|^2 + (\sum_a u_a)^2`.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED_LIMIT = 10**10
"""Seeds are uniform integers in -SEED_LIMIT..SEED_LIMIT-1."""

CELLS = 256
"""Cells after which the lattice repeats along each skewed axis."""

SQUISH = {d: (math.sqrt(d + 1) - 1) / d for d in (2, 3, 4)}
"""From skewed to real coordinates: add this times the sum to each."""

STRETCH = {d: (1 / math.sqrt(d + 1) - 1) / d for d in (2, 3, 4)}
"""From real to skewed coordinates: add this times the sum to each."""


def _list_gradients(lengths: tuple[float, ...], norm: float) -> Floats:
    """List gradients in the order of OpenSimplex: signs (x fastest), then the long axis."""
    d = len(lengths)
    rows = []
    for signs in product((1, -1), repeat=d):
        rows += [np.roll(lengths, axis) * signs[::-1] for axis in range(d)]
    return np.array(rows) / norm


GRADIENTS2 = _list_gradients((5.0, 2.0), 47)
GRADIENTS4 = _list_gradients((3.0, 1.0, 1.0, 1.0), 30)


def _compute_variance(d: int, square: float) -> float:
    r"""Integrate the bumps of noise in ``d`` dimensions, whose gradients have components of mean ``square``.

    .. math:: \frac{m}{\sqrt{d + 1}} \int_0^{\sqrt 2} (2 - r^2)^8 \, r^2 \cdot S_d \, r^{d - 1} \, dr
    """
    sphere = 2 * math.pi ** (d / 2) / math.gamma(d / 2)
    half = d / 2 + 1
    beta = math.gamma(half) * math.gamma(9) / math.gamma(half + 9)
    return square / math.sqrt(d + 1) * sphere * 2 ** (8 + half) * beta / 2


_BETA = math.gamma(5 / 2) * math.gamma(9) / math.gamma(23 / 2)

VARIANCE = 51 / 103**2 / 2 * 4 * math.pi * 2 ** (8 + 5 / 2) * _BETA / 2
r"""Ensemble variance of one octave of noise3, .0985.

Sums :math:`(2 - r^2)^4 \, g \cdot d / 103` over points of density 1/2; :math:`E(g \cdot d)^2 = 51 r^2`:

.. math:: \frac{51}{103^2} \cdot \frac12 \int_0^{\sqrt 2} (2 - r^2)^8 \, r^2 \cdot 4 \pi r^2 \, dr
"""

VARIANCES = {2: _compute_variance(2, 14.5 / 47**2), 3: VARIANCE, 4: _compute_variance(4, 3 / 30**2)}
"""Ensemble variance of one octave by dimension: .1355, .0985 and .0609."""


def spread_places(uniforms: Floats, feature_size: float) -> Floats:
    """Spread uniform numbers (..., dims) in [0, 1) over whole periods of the lattice, in voxels.

    In three dimensions six periods lie along each axis, which makes a box; in two and four none does along an
    axis, and the cell of the skewed lattice takes its place.
    """
    dims = uniforms.shape[-1]
    if dims == 3:
        return uniforms * (6 * CELLS * feature_size)
    skewed_places = uniforms * (CELLS * feature_size)
    return skewed_places + SQUISH[dims] * skewed_places.sum(-1, keepdims=True)
