"""Patches of other images, turned, scaled and blended in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from diffad.data.corruptions.place import Place
from diffad.data.corruptions.poisson import poisson_blend
from diffad.data.corruptions.shape import Floats, Random, rotation
from diffad.data.corruptions.spline import sample_spline

LARGEST = 0.8
"""Largest side of a patch, as a fraction of the image it comes from."""

SOURCES, CENTRES = 8, 64
"""How many sources, and how many centres in each, are tried until one lies on tissue."""


def blend(
    image: Floats, place: Place, sources: Sequence[Tensor], remap: bool, rng: Random
) -> tuple[Floats, dict[str, Any]]:
    """Blend in a patch from a random source; without sources, from another place of the image itself.

    Args:
        image: Image, (C, *S).
        place: Where.
        sources: Images of any size and number of channels, each (C', *S').
        remap: Change the contrast of the source first, see ``remap_contrast``.
        rng: Source of all randomness.

    Returns:
        The box after the change, (C, *box), and what was drawn: ``source`` (None for the image itself),
        ``scale``, ``mapped``.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    target = image[(slice(None), *place.box)]
    turn = rotation(target.ndim - 1, math.pi / 4, rng)
    size = (1 + rng.exponential(0.1)) ** (1 if rng.random() < 0.5 else -1)
    for _ in range(SOURCES):
        index = int(rng.integers(len(sources))) if sources else None
        source = image if index is None else match_source(sources[index], image, rng)
        scale = max(size, _least_scale(turn, place, source))
        points = _points(turn / scale, place, source, rng, itself=index is None)
        if points is not None:
            break
    else:
        return target.copy(), {}
    source = remap_contrast(source, rng) if remap else source
    axes = tuple(range(1, source.ndim))
    low, high = (f(source, axis=axes)[:, None] for f in (np.min, np.max))
    patch = np.zeros_like(target)
    patch[:, place.inside] = np.clip(sample_spline(source, points), low, high)
    drawn = {"source": index, "scale": scale, "mapped": remap}
    return poisson_blend(target, patch, place.inside), drawn


def match_source(source: Tensor, image: Floats, rng: Random) -> Floats:
    """Bring a source to the channels of the image: some of its own, or random ones of the image on top.

    Raises:
        ValueError: If it has other spatial axes than the image, or intensities outside [0, 1].
    """
    if source.ndim != image.ndim:
        raise ValueError(f"expected a source (C, *S) like the image {image.shape}, got {tuple(source.shape)}")
    values = source.detach().cpu().double().numpy()
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"expected sources in [0, 1], got {values.min():.3g} to {values.max():.3g}")
    missing = len(image) - len(values)
    if missing <= 0:
        return values if missing == 0 else values[np.sort(rng.permutation(len(values))[: len(image)])]
    own = image[rng.integers(len(image), size=missing)]
    if own.shape[1:] != values.shape[1:]:
        # channels of one image share a grid
        repeated = rng.integers(len(values), size=missing)
        return np.concatenate([values, values[repeated]])
    return np.concatenate([values, own])


def remap_contrast(source: Floats, rng: Random) -> Floats:
    r"""Stand in for another modality: turn the contrast of the tissue around.

    .. math:: m \, (1 - (x / m)^\gamma), \quad m = \max x, \quad \gamma = 2^{U(-1, 1)}

    where :math:`x` exceeds the minimum of its channel; the background stays.

    Args:
        source: Image, (C, *S).
        rng: Source of the exponent.
    """
    axes = tuple(range(1, source.ndim))
    low, high = source.min(axes, keepdims=True), source.max(axes, keepdims=True)
    turned = high * (1 - (source / np.maximum(high, 1e-12)) ** 2 ** rng.uniform(-1, 1))
    return np.where(source > low, turned, source)


def _least_scale(turn: Floats, place: Place, source: Floats) -> float:
    """Magnification below which the turned patch would need more than 80 % of the source."""
    half = (np.array(place.inside.shape) - 1) / 2
    return float((np.abs(turn) @ half / (LARGEST * (np.array(source.shape[1:]) - 1) / 2)).max())


def _points(inverse: Floats, place: Place, source: Floats, rng: Random, itself: bool) -> Floats | None:
    """Where in the source the voxels of the shape lie, (n, K); None if no place on tissue was found."""
    half = np.abs(inverse) @ ((np.array(place.inside.shape) - 1) / 2)
    low, high = np.ceil(half).astype(int), np.floor(np.array(source.shape[1:]) - 1 - half).astype(int)
    centres = rng.integers(low, np.maximum(high, low) + 1, size=(CENTRES, len(low)))
    axes = tuple(range(1, source.ndim))
    tissue = (source[(slice(None), *centres.T)] > source.min(axes)[:, None]).any(0)
    if itself:
        here = np.array([(cut.start + cut.stop - 1) / 2 for cut in place.box])
        apart = np.abs(centres - here).max(1) > min(place.inside.shape) / 2
        tissue = tissue & apart if (tissue & apart).any() else tissue
    if not tissue.any():
        return None
    centre = centres[int(tissue.argmax())]
    middle = (np.array(place.inside.shape) - 1).reshape(-1, 1) / 2
    return centre[:, None] + inverse @ (np.argwhere(place.inside).T - middle)
