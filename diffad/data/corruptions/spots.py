"""Several small round lesions, as of multiple sclerosis and of small vessels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffad.data.corruptions.blob import Window, draw_level, soften
from diffad.data.corruptions.paint import Paint, average_tissue, paint_tissue
from diffad.data.corruptions.shape import Bools, Floats, Random

MAX_SPOTS = 15
"""Largest number of spots."""

RADII = (1.0, 4.0)
"""Smallest and largest radius, in voxels; small ones are drawn more often."""

MARGIN = 3
"""Voxels from the border of the brain that most spots keep."""


def paint_spots(image: Floats, brain: Bools, rng: Random) -> tuple[Floats, dict[str, Any]]:
    """Paint 1 to 15 spots, alike in sign and of similar contrast to the tissue around them.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        rng: Source of all randomness.

    Returns:
        The image after the change, and the drawn numbers: ``radii`` (voxels) and ``amounts``.
    """
    count = round(math.exp(rng.uniform(0, math.log(MAX_SPOTS))))
    mean = average_tissue(image, brain, 4)
    centres = _draw_centres(image[0], brain, count, rng)
    radii = np.exp(rng.uniform(math.log(RADII[0]), math.log(RADII[1]), count))
    weight = np.zeros(brain.shape)
    for centre, radius in zip(centres, radii, strict=True):
        window = Window.around(centre, 2 * radius + 1, brain.shape)
        level = draw_level(window, radius + 0.5, rng, roughness=0.35)
        spot = rng.uniform(0.6, 1) * soften(level, 0.9)
        weight[window.box] = np.maximum(weight[window.box], spot / max(float(spot.max()), 0.5))
    look = Paint.draw(len(image), rng, (0.1, 0.8))
    values = paint_tissue(image, weight * brain, look, rng, mean)
    return values, {"radii": tuple(radii.tolist()), "amounts": tuple(look.amounts.tolist())}


def _draw_centres(channel: Floats, brain: Bools, count: int, rng: Random) -> Floats:
    """Draw places (count, n): deep in the brain, in bright tissue (white matter on T1) or in dark."""
    deep = brain.copy()
    for axis in range(brain.ndim):
        for step in (MARGIN, -MARGIN):
            deep &= np.roll(brain, step, axis)
    flat = np.flatnonzero(deep if deep.any() else brain)
    tissue = channel.ravel()[flat]
    rank = np.empty(len(flat))
    rank[np.argsort(tissue, kind="stable")] = (np.arange(len(flat)) + 0.5) / len(flat)
    weight = rank**2 if rng.random() < 0.75 else (1 - rank) ** 0.5
    weight = weight * _draw_neighbourhood(flat, brain.shape, rng)
    picks = rng.choice(len(flat), count, p=weight / weight.sum())
    return np.stack(np.unravel_index(flat[picks], brain.shape), -1).astype(float)


def _draw_neighbourhood(flat: np.ndarray[Any, Any], size: tuple[int, ...], rng: Random) -> Floats:
    """Weigh voxels by their distance to one of them, in half of the cases: spots come in clusters."""
    if rng.random() < 0.5:
        return np.ones(len(flat))
    points = np.stack(np.unravel_index(flat, size), -1)
    distance = np.linalg.norm(points - points[rng.integers(len(points))], axis=1)
    return np.asarray(np.exp(-distance / (0.15 * max(size))) + 1e-6)
