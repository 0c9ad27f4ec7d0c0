"""Patches of other images, rotated, scaled and blended in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from diffad.data.corruptions.place import Place
from diffad.data.corruptions.poisson import poisson_blend
from diffad.data.corruptions.shape import Floats, Random, draw_rotation
from diffad.data.corruptions.spline import sample_spline

LARGEST_SIDE = 0.8
"""Largest side of a patch, as a fraction of the image it comes from."""

SOURCES, CENTRES = 8, 64
"""Number of sources, and of centres in each, that are tried until one lies on tissue."""


def blend(
    image: Floats, place: Place, sources: Sequence[Tensor], remap: bool, rng: Random
) -> tuple[Floats, dict[str, Any]]:
    """Blend in a patch from a random source; without sources, from another place of the image itself.

    Args:
        image: Image, (C, *S).
        place: The shape at its place.
        sources: Images of any size and number of channels, each (C', *S').
        remap: Whether the contrast of the source is inverted first, see ``remap_contrast``.
        rng: Source of all randomness.

    Returns:
        The box after the change, (C, *box), and the drawn numbers: ``source`` (none for the image itself),
        ``scale``, ``mapped``.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    target = image[(slice(None), *place.box)]
    rotation = draw_rotation(target.ndim - 1, math.pi / 4, rng)
    size = (1 + rng.exponential(0.1)) ** (1 if rng.random() < 0.5 else -1)
    for _ in range(SOURCES):
        index = int(rng.integers(len(sources))) if sources else None
        source = image if index is None else match_source(sources[index], image, rng)
        scale = max(size, _find_least_scale(rotation, place, source))
        points = _find_points(rotation / scale, place, source, rng, same_image=index is None)
        if points is not None:
            break
    else:
        return target.copy(), {}
    source = remap_contrast(source, rng) if remap else source
    axes = tuple(range(1, source.ndim))
    low, high = (f(source, axis=axes)[:, None] for f in (np.min, np.max))
    patch = np.zeros_like(target)
    patch[:, place.mask] = np.clip(sample_spline(source, points), low, high)
    params = {"source": index, "scale": scale, "mapped": remap}
    return poisson_blend(target, patch, place.mask), params


def match_source(source: Tensor, image: Floats, rng: Random) -> Floats:
    """Bring a source to the channels of the image: drop some, or add random ones of the image or its own.

    Raises:
        ValueError: If it has other spatial axes than the image, or intensities outside [0, 1].
    """
    if source.ndim != image.ndim:
        raise ValueError(f"expected a source (C, *S) like the image {image.shape}, got {tuple(source.shape)}")
    values = source.detach().cpu().double().numpy()
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"expected sources in [0, 1], got {values.min():.3g} to {values.max():.3g}")
    gap = len(image) - len(values)
    if gap <= 0:
        return values if gap == 0 else values[np.sort(rng.permutation(len(values))[: len(image)])]
    image_channels = image[rng.integers(len(image), size=gap)]
    if image_channels.shape[1:] != values.shape[1:]:
        # channels of one image share a grid
        copies = rng.integers(len(values), size=gap)
        return np.concatenate([values, values[copies]])
    return np.concatenate([values, image_channels])


def remap_contrast(source: Floats, rng: Random) -> Floats:
    r"""Invert the contrast of the tissue, to stand in for another modality.

    .. math:: m \, (1 - (x / m)^\gamma), \quad m = \max x, \quad \gamma = 2^{U(-1, 1)}

    where :math:`x` exceeds the minimum of its channel; the background stays.

    Args:
        source: Image, (C, *S).
        rng: Source of the exponent.
    """
    axes = tuple(range(1, source.ndim))
    low, high = source.min(axes, keepdims=True), source.max(axes, keepdims=True)
    inverse = high * (1 - (source / np.maximum(high, 1e-12)) ** 2 ** rng.uniform(-1, 1))
    return np.where(source > low, inverse, source)


def _find_least_scale(rotation: Floats, place: Place, source: Floats) -> float:
    """Find the magnification below which the rotated patch would need more than 80 % of the source."""
    half_sides = (np.array(place.mask.shape) - 1) / 2
    room = LARGEST_SIDE * (np.array(source.shape[1:]) - 1) / 2
    return float((np.abs(rotation) @ half_sides / room).max())


def _find_points(
    inverse: Floats, place: Place, source: Floats, rng: Random, same_image: bool
) -> Floats | None:
    """Find where in the source the voxels of the shape lie, (n, K); none if there is no place on tissue."""
    half_sides = np.abs(inverse) @ ((np.array(place.mask.shape) - 1) / 2)
    low = np.ceil(half_sides).astype(int)
    high = np.floor(np.array(source.shape[1:]) - 1 - half_sides).astype(int)
    centres = rng.integers(low, np.maximum(high, low) + 1, size=(CENTRES, len(low)))
    axes = tuple(range(1, source.ndim))
    tissue = (source[(slice(None), *centres.T)] > source.min(axes)[:, None]).any(0)
    if same_image:
        place_centre = np.array([(cut.start + cut.stop - 1) / 2 for cut in place.box])
        distant = np.abs(centres - place_centre).max(1) > min(place.mask.shape) / 2
        tissue = tissue & distant if (tissue & distant).any() else tissue
    if not tissue.any():
        return None
    centre = centres[int(tissue.argmax())]
    middle = (np.array(place.mask.shape) - 1).reshape(-1, 1) / 2
    return centre[:, None] + inverse @ (np.argwhere(place.mask).T - middle)
