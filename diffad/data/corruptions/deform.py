"""Sinks and sources: tissue is drawn towards a point, or pushed away from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffad.data.corruptions.place import Place
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.spline import sample_spline

PUSH = (0.5, 5.0)
"""Least and most push, in voxels, where the shape leaves room for them."""


def factor(edge: float, push: float) -> float:
    r"""Return the exponent whose curve leaves the diagonal by a given distance.

    .. math:: f = \frac{\ln(m_y / e)}{\ln(m_x / e)}, \quad m_{x, y} = \frac{e}{2} \pm \frac{q}{\sqrt 2}

    Args:
        edge: Distance :math:`e` from the centre to the edge, in voxels.
        push: Distance :math:`q` of the curve from the diagonal, in voxels, :math:`0 \le q < e / \sqrt 2`.

    Raises:
        ValueError: If the push does not fit.
    """
    if not 0 <= push < edge / math.sqrt(2):
        raise ValueError(f"expected a push from 0 to below edge / sqrt(2), got {push} for edge {edge}")
    aside = push / math.sqrt(2)
    return math.log((edge / 2 - aside) / edge) / math.log((edge / 2 + aside) / edge)


def read_distance(distance: Floats, edge: Floats, exponent: float, task: str) -> Floats:
    r"""Tell how far from the centre, on the same ray, a voxel takes its intensity.

    .. math:: d'_\mathrm{source} = \frac{d^f}{D^{f - 1}}, \quad
              d'_\mathrm{sink} = D - \frac{(D - d)^f}{D^{f - 1}}

    Args:
        distance: Distance :math:`d` from the centre.
        edge: Distance :math:`D` from the centre to the edge along the ray, at least :math:`d`.
        exponent: :math:`f`.
        task: ``sink`` or ``source``.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    share = distance / edge
    return edge * (share**exponent if task == "source" else 1 - (1 - share) ** exponent)


def draw_push(edge: float, rng: Random) -> float:
    r"""Draw the push: uniform in 10 to 90 % of :math:`e / \sqrt 2` and in 0.5 to 5 voxels, if these meet."""
    most = edge / math.sqrt(2)
    low, high = max(0.1 * most, PUSH[0]), min(0.9 * most, PUSH[1])
    if low < high:
        return float(rng.uniform(low, high))
    return 0.9 * most if PUSH[0] >= 0.9 * most else 0.1 * most


def deform(image: Floats, place: Place, task: str, rng: Random) -> tuple[Floats, dict[str, Any]]:
    """Deform the tissue of a shape around a random point of it; the border of the shape stays.

    Args:
        image: Image, (C, *S).
        place: Where.
        task: ``sink`` or ``source``.
        rng: Source of all randomness.

    Returns:
        The box after the change, (C, *box), and what was drawn: ``centre``, ``push``, ``factor``.
    """
    inside, corner = place.inside, np.array([[cut.start] for cut in place.box])
    choices = np.argwhere(inside & place.tissue)
    centre = choices[rng.integers(len(choices))]
    edge = float(np.linalg.norm(np.argwhere(inside & ~_eroded(inside)) - centre, axis=1).mean())
    push = draw_push(edge, rng)
    points = _read_points(place, tuple(centre), factor(edge, push), task)
    part = image[(slice(None), *place.box)].copy()
    part[:, inside] = sample_spline(image, points + corner)
    drawn = {"centre": tuple((centre + corner[:, 0]).tolist()), "push": push, "factor": factor(edge, push)}
    return part, drawn


def _read_points(place: Place, centre: tuple[int, ...], exponent: float, task: str) -> Floats:
    start = np.moveaxis(place.offset, 0, -1)[centre][:, None]
    offset = place.offset[:, place.inside]
    ray = offset - start
    away = place.shape.exit(place.shape.units(start), place.shape.units(offset))
    share = read_distance(1 / away, np.ones_like(away), exponent, task)
    stretch = np.where(np.isinf(away), 0, share * np.where(np.isinf(away), 0, away))
    return np.array(centre)[:, None] + ray * stretch


def _eroded(mask: Bools) -> Bools:
    padded = np.pad(mask, 1)
    inner = (slice(1, -1),) * mask.ndim
    result = mask.copy()
    for axis in range(mask.ndim):
        for step in (1, -1):
            result &= np.roll(padded, step, axis)[inner]
    return result
