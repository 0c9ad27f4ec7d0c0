"""Smooth changes of intensity with a fractal texture."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.data.corruptions.perlin import draw_fractal
from diffad.data.corruptions.place import Place
from diffad.data.corruptions.shape import Bools, Floats, Random

STRENGTH = 0.1
"""Scale of the change."""


def draw_change(channels: int, rng: Random) -> Floats:
    r"""Draw :math:`\pm (s / 2 + \Gamma(3, s))`, (C,): one size of mean 0.35, a sign for each channel."""
    size = STRENGTH / 2 + rng.gamma(3, STRENGTH)
    return size * rng.choice([-1.0, 1.0], channels)


def draw_width(side: int, rng: Random) -> float:
    r"""Draw the width of the soft border, :math:`0.02 + \Gamma(3, 0.01)` of the shortest side, in voxels."""
    return float(side * (0.02 + rng.gamma(3, 0.01)))


def taper(mask: Bools, width: float) -> Floats:
    r"""Return a weight that rises from the border of a shape inwards.

    .. math:: w(p) = \min(1, \mathrm{EDT}(p) / \min(w_0, \max \mathrm{EDT}))

    Args:
        mask: Shape, (*box).
        width: :math:`w_0`, in voxels.
    """
    from scipy.ndimage import distance_transform_edt

    frame = np.pad(mask, 1)
    depth = distance_transform_edt(frame)[(slice(1, -1),) * mask.ndim]
    return np.minimum(depth / max(min(width, float(depth.max())), 1e-9), 1)


def change_intensity(image: Floats, place: Place, rng: Random) -> tuple[Floats, dict[str, Any]]:
    r"""Add a textured change with a soft border.

    .. math:: y + \delta_c \, N(p) \, w(p)

    with :math:`N` fractal Perlin noise from 0 to 1.

    Args:
        image: Image, (C, *S).
        place: The shape at its place.
        rng: Source of all randomness.

    Returns:
        The box after the change, (C, *box), and the drawn numbers: ``change`` by channel, ``width`` (voxels).

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    delta, width = draw_change(len(image), rng), draw_width(min(image.shape[1:]), rng)
    weight = draw_fractal(place.mask.shape, rng) * taper(place.mask, width)
    values = image[(slice(None), *place.box)] + np.multiply.outer(delta, weight)
    return values, {"change": tuple(delta.tolist()), "width": width}
