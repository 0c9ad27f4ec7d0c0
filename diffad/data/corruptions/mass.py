"""A growth that pushes tissue outwards, with a core, a rim and a halo."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.corruptions.blob import (
    Window,
    draw_brain_voxel,
    draw_level,
    draw_radius,
    draw_smooth,
    soften,
)
from diffad.data.corruptions.paint import Paint, paint_tissue
from diffad.data.corruptions.shape import Bools, Floats, Random

REACH = 2.2
"""How far tissue is pushed, in radii of the growth."""

LARGEST_SHARE = 0.1
"""Largest share of the brain that a growth takes, without its halo."""

KINDS = ("solid", "ring", "necrotic")
"""Solid growths are of one tissue, rings have a core like the tissue before, necrotic ones another core."""


def paint_mass(image: Floats, brain: Bools, rng: Random) -> tuple[Floats, dict[str, Any]]:
    """Push tissue away from a point, lay a growth over it and, in most cases, oedema around it.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        rng: Source of all randomness.

    Returns:
        The image after the change, and the drawn numbers: ``kind``, ``radius`` (voxels), ``push`` and
        ``amounts``.
    """
    radius, centre = max(draw_radius(brain, rng, LARGEST_SHARE), 3.0), draw_brain_voxel(brain, rng)
    kind, push = KINDS[rng.integers(len(KINDS))], float(rng.uniform(0, 0.8))
    window = Window.around(centre, REACH * radius + 2, brain.shape)
    box = (slice(None), *window.box)
    tissue, values = brain[window.box], image.copy()
    local = _push(image[box], window, centre, radius, push)
    level = draw_level(window, radius, rng, roughness=0.45)
    if rng.random() < 0.7:
        local = _paint_halo(local, level, radius, tissue, rng)
    look = Paint.draw(len(image), rng, (0.15, 0.9))
    local = paint_tissue(local, _draw_body(level, kind, radius, rng) * tissue, look, rng)
    if kind == "necrotic":
        core = soften(level - rng.uniform(0.35, 0.55), 0.2) * tissue
        local = paint_tissue(local, core, Paint.draw(len(image), rng, (0.3, 0.9)), rng)
    values[box] = np.where(tissue, local, image[box])
    return values, {"kind": kind, "radius": radius, "push": push, "amounts": tuple(look.amounts.tolist())}


def _draw_body(level: Floats, kind: str, radius: float, rng: Random) -> Floats:
    body = soften(level, 0.15 + 0.7 / radius)
    if kind != "ring":
        return body
    return body * (1 - rng.uniform(0.5, 1) * soften(level - 0.25 - 1 / radius, 0.25))


def _paint_halo(image: Floats, level: Floats, radius: float, tissue: Bools, rng: Random) -> Floats:
    """Paint oedema: wide, weak, with fingers, and fading outwards."""
    fingers = level + rng.uniform(0.4, 1) + 0.8 * draw_smooth(level.shape, max(radius * 0.6, 3), rng)
    return paint_tissue(image, soften(fingers, 0.8) * tissue, Paint.draw(len(image), rng, (0.1, 0.45)), rng)


def _push(image: Floats, window: Window, centre: Floats, radius: float, push: float) -> Floats:
    r"""Read each voxel nearer to the centre: the push is :math:`q < 1`, the reach :math:`R`.

    .. math:: d' = d \, (1 - q \max(1 - d / R, 0)^2)
    """
    from scipy.ndimage import map_coordinates

    rest = np.maximum(1 - window.distance / (REACH * radius), 0)
    stretch = 1 - push * rest**2
    points = []
    for axis, (cut, middle) in enumerate(zip(window.box, centre, strict=True)):
        offset = np.expand_dims(np.arange(cut.start, cut.stop) - middle, _other_axes(axis, len(centre)))
        points.append(middle - cut.start + offset * stretch)
    moved = np.stack([map_coordinates(channel, points, order=1, mode="nearest") for channel in image])
    return np.where(rest > 0, moved, image)


def _other_axes(axis: int, axes: int) -> tuple[int, ...]:
    return tuple(i for i in range(axes) if i != axis)
