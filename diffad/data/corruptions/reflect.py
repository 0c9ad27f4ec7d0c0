"""Ragged blobs with hard edges, filled with textures or coloured noise without a change of variance."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.corruptions.perlin import draw_fractal
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.walk import CELLS, MOVES, draw_walk, fill_walk

OBJECTS = (12 / 25, 6 / 25, 4 / 25, 3 / 25)
"""Probabilities of one to four blobs, in proportion to 1 / K."""

WEIGHTS = (0.2, 1.0)
"""Smallest and largest weight of a blob."""


def blend_variance(image: Floats, filling: Floats, weight: float) -> Floats:
    r"""Blend two images of variance 1 to one, :math:`\sqrt{1 - w} z + \sqrt{w} r`; 0 gives the first back."""
    return np.asarray(np.sqrt(1 - weight) * image + np.sqrt(weight) * filling)


def draw_coloured(size: tuple[int, ...], share: float, rng: Random) -> Floats:
    r"""Draw :math:`\sqrt{a} b_c + \sqrt{1 - a} n` of variance 1; voxels correlate by the share.

    Args:
        size: (C, *S).
        share: :math:`a`, in [0, 1].
        rng: Source of the noise.
    """
    colour = rng.normal(size=(size[0], *(1,) * (len(size) - 1)))
    return np.asarray(np.sqrt(share) * colour + np.sqrt(1 - share) * rng.normal(size=size))


def draw_texture(size: tuple[int, ...], rng: Random) -> Floats:
    """Draw fractal noise or stripes, (C, *S), each channel of mean 0 and variance 1."""
    channels = []
    for _ in range(size[0]):
        field = draw_fractal(size[1:], rng)
        if rng.random() < 0.5:
            axes = np.meshgrid(*(np.arange(n) for n in size[1:]), indexing="ij")
            direction = rng.normal(size=len(axes))
            along = sum(d * u for d, u in zip(direction, axes, strict=True)) / np.linalg.norm(direction)
            field = np.sin(2 * np.pi * (along / rng.uniform(3, 16) + field))
        channels.append((field - field.mean()) / max(float(field.std()), 1e-12))
    return np.stack(channels)


def paint_reflect(
    image: Floats, brain: Bools, rng: Random, strength: float | None = None
) -> tuple[Floats, dict[str, Any]]:
    r"""Blend one to four blobs in, in units of the brain's own mean and standard deviation.

    Blobs are polygons through the points of random walks, inside by the even-odd rule; earlier ones win where
    they meet. Each is filled, with even odds, with a texture or with coloured noise of a share from 0 to 1.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        rng: Source of all randomness.
        strength: Weight of the blobs, in [0, 1]; none draws one for each, from 0.2 to 1.

    Returns:
        The image after the change, and the drawn numbers: ``weights`` of the blobs.

    Reference:
        REFLECT (Beizaee et al., 2025), which does so with latents and a bank of photographed textures.
    """
    column = (-1,) + (1,) * brain.ndim
    mean, spread = (f(image[:, brain], axis=1).reshape(column) for f in (np.mean, np.std))
    states, free, weights = (image - mean) / np.maximum(spread, 1e-6), brain.copy(), []
    count = int(rng.choice(4, p=OBJECTS)) + 1
    for _ in range(count):
        blob = _draw_blob(brain, MOVES[count - 1], rng)
        weight = float(rng.uniform(*WEIGHTS))
        weights.append(weight if strength is None else strength)
        is_texture = rng.random() < 0.5
        filling = (
            draw_texture(image.shape, rng) if is_texture else draw_coloured(image.shape, rng.random(), rng)
        )
        states = np.where(blob & free, blend_variance(states, filling, weights[-1]), states)
        free &= ~blob
    region = brain & ~free
    return np.where(region, np.clip(mean + spread * states, 0, 1), image), {"weights": tuple(weights)}


def _draw_blob(brain: Bools, most: int, rng: Random) -> Bools:
    """Draw a blob (*S); one without a move is a cell of the walk."""
    points = draw_walk(brain, most, rng)
    blob = fill_walk(points, brain.shape)
    if len(points) == 1:
        half = max(max(brain.shape) / CELLS, 1.0) / 2
        box = [slice(max(round(p - half), 0), max(round(p + half), 1)) for p in points[0]]
        blob[tuple(box)] = True
    return blob
