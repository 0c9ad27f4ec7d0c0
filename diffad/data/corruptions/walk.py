"""Ragged polygons along random walks, with a texture or coloured noise in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.corruptions.blob import draw_brain_voxel
from diffad.data.corruptions.paint import draw_grain
from diffad.data.corruptions.perlin import draw_fractal
from diffad.data.corruptions.shape import Bools, Floats, Random

CELLS = 32
"""Cells along the longest side, one of which a move crosses."""

MOVES = (200, 120, 100, 80)
"""Largest number of moves of each object, by the number of objects."""


def draw_walk(brain: Bools, most: int, rng: Random) -> Floats:
    """Draw the points (n + 1, axes) of a walk that stays in the brain.

    A move goes -1, 0 or 1 cells along each axis; moves out of the brain are left out.

    Args:
        brain: Brain, (*S).
        most: Bound on the number n of moves, which are drawn with weight 10 - 9 n / most.
        rng: Source of all randomness.

    Reference:
        REFLECT (Beizaee et al., 2025).
    """
    lengths = np.arange(most)
    odds = 10 - 9 * lengths / most
    count = int(rng.choice(lengths, p=odds / odds.sum()))
    point = draw_brain_voxel(brain, rng)
    cell = max(max(brain.shape) / CELLS, 1.0)
    points, ends = [point], np.array(brain.shape) - 1
    for move in rng.integers(-1, 2, (count, brain.ndim)) * cell:
        there = point + move
        if (there >= 0).all() and (there <= ends).all() and brain[tuple(np.rint(there).astype(int))]:
            point = there
            points.append(point)
    return np.array(points)


def fill_walk(points: Floats, size: tuple[int, ...]) -> Bools:
    """Fill the polygon through the points, inside by the even-odd rule; in 3-D, the cells along the walk."""
    if len(size) == 2:
        from PIL import Image, ImageDraw

        picture = Image.new("1", size[::-1])
        corners = [(float(x), float(y)) for y, x in np.rint(points)]
        ImageDraw.Draw(picture).polygon([*corners, *corners[:1] * 2], fill=1, outline=1)
        return np.array(picture, dtype=bool)
    from scipy.ndimage import binary_fill_holes, maximum_filter

    visits = np.zeros(size, dtype=np.uint8)
    visits[tuple(np.rint(points).astype(int).T)] = 1
    width = 2 * round(max(size) / CELLS / 2) + 1
    return np.asarray(binary_fill_holes(maximum_filter(visits, width) > 0))


def paint_walk(image: Floats, brain: Bools, rng: Random) -> tuple[Floats, dict[str, Any]]:
    r"""Blend one to four walked objects in, :math:`(1 - w) y + w r` with :math:`w` from 0.2 to 1.

    The filling :math:`r` is a fractal texture over a random part of the range of the brain, or noise of a
    random colour around a random intensity. The border is soft by less than a voxel.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        rng: Source of all randomness.

    Returns:
        The image after the change, and the drawn numbers: ``weights`` of the objects.

    Reference:
        REFLECT (Beizaee et al., 2025), which does so with latents.
    """
    from scipy.ndimage import gaussian_filter

    odds = 1 / np.arange(1, 5)
    count = int(rng.choice(4, p=odds / odds.sum())) + 1
    values, limits = image.copy(), (image[:, brain].min(1), image[:, brain].max(1))
    free, weights = brain.astype(float), []
    for _ in range(count):
        shape = fill_walk(draw_walk(brain, MOVES[count - 1], rng), brain.shape)
        soft = gaussian_filter(shape.astype(float), 0.6, truncate=2) * free
        weights.append(float(rng.uniform(0.2, 1)))
        filling = _draw_filling(limits, brain.shape, rng)
        values = np.where(soft > 0, values + weights[-1] * soft * (filling - values), values)
        free = np.where(shape, 0, free)
    return values, {"weights": tuple(weights)}


def _draw_filling(limits: tuple[Floats, Floats], size: tuple[int, ...], rng: Random) -> Floats:
    column = (-1,) + (1,) * len(size)
    low, span = limits[0].reshape(column), (limits[1] - limits[0]).reshape(column)
    if rng.random() < 0.5:
        ends = np.sort(rng.random((len(low), 2)), axis=1)
        first, last = (ends[:, k].reshape(column) for k in range(2))
        return np.asarray(low + span * (first + (last - first) * draw_fractal(size, rng)))
    share = rng.random()
    colour = rng.normal(size=(len(low), *column[1:]))
    grains = np.stack([draw_grain(size, rng.uniform(0.3, 1.5), rng) for _ in range(len(low))])
    noise = np.sqrt(share) * colour + np.sqrt(1 - share) * grains
    return np.asarray(low + span * np.clip(0.5 + 0.25 * noise, 0, 1))
