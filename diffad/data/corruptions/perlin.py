"""Perlin noise at any number of intervals, whole or not, and its sums over scales."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from diffad.data.corruptions.shape import Floats, Random


def draw_perlin(size: tuple[int, ...], intervals: Floats, rng: Random) -> Floats:
    r"""Interpolate random slopes between the points of a lattice, at which the noise is zero.

    .. math:: z(u) = \sum_{v \in \{0, 1\}^n} \langle g_{l + v}, u - l - v \rangle
              \prod_a w(1 - |u_a - l_a - v_a|), \quad w(s) = 6 s^5 - 15 s^4 + 10 s^3

    with :math:`l = \lfloor u \rfloor`.

    Args:
        size: Sides of the result, in voxels; voxel 0 lies on the lattice.
        intervals: Intervals of the lattice along each axis, (n,), positive.
        rng: Source of the unit vectors :math:`g`.

    Reference:
        Improving noise (Perlin, 2002).
    """
    n = len(size)
    slopes = rng.normal(size=(n, *(math.ceil(k) + 1 for k in intervals)))
    slopes /= np.linalg.norm(slopes, axis=0)
    positions = [np.arange(side) * (k / side) for side, k in zip(size, intervals, strict=True)]
    cells = [np.floor(u).astype(int) for u in positions]
    total = np.zeros(size)
    for corner in product((0, 1), repeat=n):
        offsets = [u - cell - v for u, cell, v in zip(positions, cells, corner, strict=True)]
        slope = slopes[(slice(None), *np.ix_(*(cell + v for cell, v in zip(cells, corner, strict=True))))]
        steps = np.ix_(*offsets)
        weight = math.prod(np.ix_(*(_fade(1 - np.abs(s)) for s in offsets)))
        total += weight * sum(g * s for g, s in zip(slope, steps, strict=True))
    return total


def draw_fractal(size: tuple[int, ...], rng: Random) -> Floats:
    r"""Sum Perlin noise of random scales, each with half the amplitude of the last; minimum 0, maximum 1.

    The first layer has :math:`1 + \mathrm{Exp}((m / 3 - 1) / 4.5)` intervals with :math:`m` the mean side,
    each further layer about twice as many as the last; there are :math:`1 + \mathrm{Poisson}(1)` layers, as
    long as an interval has at least three voxels.

    Args:
        size: Sides of the result, in voxels.
        rng: Source of all randomness.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    finest = max(float(np.mean(size)) / 3, 1.0)
    count = 1 + rng.exponential((finest - 1) / 4.5)
    layers = min(math.floor(math.log2(finest / count)) + 1, 1 + rng.poisson(1)) if count < finest else 1
    total = np.zeros(size)
    for i in range(layers):
        total += 0.5**i * draw_perlin(size, count * rng.normal(1, 0.1, len(size)), rng)
        count *= 2 * rng.normal(1, 0.1)
    span = float(np.ptp(total))
    return (total - total.min()) / span if span else total


def _fade(s: Floats) -> Floats:
    return s * s * s * (s * (6 * s - 15) + 10)
