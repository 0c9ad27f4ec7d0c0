"""Soft, ragged blobs, and the windows they lie in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffad.data.corruptions.perlin import draw_perlin
from diffad.data.corruptions.shape import Bools, Floats, Random

LEAST_RADIUS, LARGEST_SHARE = 2.0, 0.25
"""Smallest radius of a lesion, in voxels, and the largest share of the brain that it takes."""


@dataclass(frozen=True)
class Window:
    """The part of the image that a lesion may reach.

    Args:
        box: Where it lies.
        distance: Distance of each voxel from the middle of the lesion, (*box), in voxels.
    """

    box: tuple[slice, ...]
    distance: Floats

    @classmethod
    def around(cls, centre: Floats, reach: float, size: tuple[int, ...]) -> Window:
        """Cut a window of some reach, in voxels, around a point, within an image of some size."""
        sides = zip(centre, size, strict=True)
        ends = [(max(math.floor(c - reach), 0), min(math.ceil(c + reach) + 1, n)) for c, n in sides]
        steps = np.ix_(*(np.arange(a, b) - c for (a, b), c in zip(ends, centre, strict=True)))
        distance = np.sqrt(sum(np.square(step) for step in steps))
        return cls(tuple(slice(*pair) for pair in ends), np.asarray(distance))


def draw_radius(brain: Bools, rng: Random, share: float = LARGEST_SHARE) -> float:
    """Draw a radius from two voxels to that of a share of the brain; half of them log-uniformly."""
    ball = math.pi if brain.ndim == 2 else 4 * math.pi / 3
    largest = (share * max(int(brain.sum()), 1) / ball) ** (1 / brain.ndim)
    ends = (LEAST_RADIUS, max(largest, LEAST_RADIUS + 0.1))
    return math.exp(rng.uniform(*np.log(ends))) if rng.random() < 0.5 else float(rng.uniform(*ends))


def draw_brain_voxel(brain: Bools, rng: Random) -> Floats:
    """Draw a voxel of the brain, uniformly, (n,)."""
    flat = np.flatnonzero(brain)
    return np.array(np.unravel_index(flat[rng.integers(len(flat))], brain.shape), dtype=float)


def draw_level(window: Window, radius: float, rng: Random, roughness: float = 0.45) -> Floats:
    r"""Draw a function whose positive part is a ragged ball.

    .. math:: f(x) = 1 - |x - c| / r + \rho \, z(x)

    with Perlin noise :math:`z` of two scales, about as wide as the radius and half of it.

    Args:
        window: Where the function is wanted.
        radius: :math:`r`, in voxels.
        rng: Source of the noise.
        roughness: :math:`\rho`.
    """
    level = 1 - window.distance / radius
    for scale in (1.0, 0.5):
        level = level + roughness * math.sqrt(scale) * draw_smooth(level.shape, scale * radius * 1.3, rng)
    return level


def draw_smooth(size: tuple[int, ...], spacing: float, rng: Random) -> Floats:
    """Draw Perlin noise with lattice points a spacing apart, in voxels, shifted at random; about +- 0.7."""
    margin = math.ceil(spacing) + 1
    whole = tuple(side + margin for side in size)
    noise = draw_perlin(whole, np.array(whole) / max(spacing, 1.5), rng)
    start = rng.integers(margin, size=len(size))
    return noise[tuple(slice(a, a + side) for a, side in zip(start, size, strict=True))]


def soften(level: Floats, width: float) -> Floats:
    """Turn a level into a weight that rises from 0 at level 0 to 1 at a width, with smooth ends."""
    ramp = np.clip(level / width, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp))
