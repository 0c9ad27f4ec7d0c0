"""Sinks and sources: tissue is pulled towards a point, or pushed away from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from diffad.data.corruptions.place import Place
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.spline import sample_spline

PUSH = (0.5, 5.0)
"""Smallest and largest push, in voxels, where the shape leaves room for them."""


def push_exponent(edge: float, push: float) -> float:
    r"""Return the exponent whose curve leaves the diagonal by a given distance.

    .. math:: f = \frac{\ln(m_y / e)}{\ln(m_x / e)}, \quad m_{x, y} = \frac{e}{2} \pm \frac{q}{\sqrt 2}

    Args:
        edge: Distance :math:`e` from the centre to the edge, in voxels.
        push: Distance :math:`q` of the curve from the diagonal, in voxels, :math:`0 \le q < e / \sqrt 2`.

    Raises:
        ValueError: If the push does not fit.
    """
    if not 0 <= push < edge / math.sqrt(2):
        raise ValueError(
            f"expected a push of at least 0 and below edge / sqrt(2), got {push} for edge {edge}"
        )
    offset = push / math.sqrt(2)
    return math.log((edge / 2 - offset) / edge) / math.log((edge / 2 + offset) / edge)


def read_distance(distance: Floats, edge: Floats, exponent: float, task: str) -> Floats:
    r"""Return the distance from the centre, on the same ray, at which a voxel reads its intensity.

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
    fraction = distance / edge
    return edge * (fraction**exponent if task == "source" else 1 - (1 - fraction) ** exponent)


def draw_push(edge: float, rng: Random) -> float:
    r"""Draw the push: uniform in 10 to 90 % of :math:`e / \sqrt 2` and in 0.5 to 5 voxels, if these meet."""
    limit = edge / math.sqrt(2)
    low, high = max(0.1 * limit, PUSH[0]), min(0.9 * limit, PUSH[1])
    if low < high:
        return float(rng.uniform(low, high))
    return 0.9 * limit if PUSH[0] >= 0.9 * limit else 0.1 * limit


def deform(image: Floats, place: Place, task: str, rng: Random) -> tuple[Floats, dict[str, Any]]:
    """Deform the tissue of a shape around a random point of it; the border of the shape stays.

    Args:
        image: Image, (C, *S).
        place: The shape at its place.
        task: ``sink`` or ``source``.
        rng: Source of all randomness.

    Returns:
        The box after the change, (C, *box), and the drawn numbers: ``centre``, ``push``, ``factor``.
    """
    mask, corner = place.mask, np.array([[cut.start] for cut in place.box])
    candidates = np.argwhere(mask & place.tissue)
    centre = candidates[rng.integers(len(candidates))]
    edge = float(np.linalg.norm(np.argwhere(mask & ~_erode(mask)) - centre, axis=1).mean())
    push = draw_push(edge, rng)
    exponent = push_exponent(edge, push)
    points = _find_points(place, tuple(centre), exponent, task)
    values = image[(slice(None), *place.box)].copy()
    values[:, mask] = sample_spline(image, points + corner)
    params = {"centre": tuple((centre + corner[:, 0]).tolist()), "push": push, "factor": exponent}
    return values, params


def _find_points(place: Place, centre: tuple[int, ...], exponent: float, task: str) -> Floats:
    start = np.moveaxis(place.offset, 0, -1)[centre][:, None]
    offset = place.offset[:, place.mask]
    ray = offset - start
    exits = place.shape.find_exit(place.shape.to_units(start), place.shape.to_units(offset))
    fraction = read_distance(1 / exits, np.ones_like(exits), exponent, task)
    stretch = np.where(np.isinf(exits), 0, fraction * np.where(np.isinf(exits), 0, exits))
    return np.array(centre)[:, None] + ray * stretch


def _erode(mask: Bools) -> Bools:
    frame = np.pad(mask, 1)
    inner = (slice(1, -1),) * mask.ndim
    result = mask.copy()
    for axis in range(mask.ndim):
        for step in (1, -1):
            result &= np.roll(frame, step, axis)[inner]
    return result
