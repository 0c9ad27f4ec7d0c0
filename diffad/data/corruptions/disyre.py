"""Lesions of separate shape, texture and bias, and soft patches of other scans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from diffad.data.corruptions.blend import match_source
from diffad.data.corruptions.blob import Window, draw_brain_voxel, draw_level
from diffad.data.corruptions.shape import Bools, Floats, Random, draw_rotation, index_voxels

SIDES = (0.08, 0.34)
"""Smallest and largest side of a shape, as fractions of the brain's mean side: 10 to 44 of 128 voxels."""

BLUR = 0.04
"""Largest standard deviation of the soft border, as a fraction of that side: 5 of 128 voxels."""

CODES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of the brain that stand for its kinds of tissue; published are five fixed values for T1."""

SELDOM = 1000
"""Number of voxels of the shape at which a kind that fills it takes part in the bias with probability 1/2."""


def match_range(patch: Floats, image: Floats, shape_mask: Bools) -> Floats:
    r"""Map the range of a patch inside a shape to that of the image, and clip to [0, 1].

    .. math:: \frac{f - \min f}{\max f - \min f + 0.001} (\max y - \min y) + \min y

    Args:
        patch: :math:`f`, (C, *box).
        image: :math:`y`, (C, *box).
        shape_mask: Shape, (*box).

    Reference:
        DISYRE v2 (Naval Marimont et al., 2024).
    """
    column = (-1,) + (1,) * shape_mask.ndim
    low, high = (f(patch[:, shape_mask], axis=1).reshape(column) for f in (np.min, np.max))
    least, most = (f(image[:, shape_mask], axis=1).reshape(column) for f in (np.min, np.max))
    return np.asarray(np.clip((patch - low) / (high - low + 1e-3) * (most - least) + least, 0, 1))


def mix_patch(image: Floats, patch: Floats, weight: Floats, alpha: float) -> Floats:
    r"""Mix a patch in, :math:`y (1 - \alpha m) + f \alpha m`; voxels with :math:`m = 0` stay bit for bit."""
    return np.where(weight > 0, image + alpha * weight * (patch - image), image)


def add_bias(image: Floats, weight: Floats, kinds: Floats, amounts: Floats) -> Floats:
    r"""Shift the intensity of some kinds of tissue, :math:`\mathrm{clip}(y + a \, m \, k, 0, 1)`.

    Args:
        image: :math:`y`, (C, *box).
        weight: :math:`m`, (*box).
        kinds: How far a voxel is of a kind that takes part :math:`k`, (C, *box), in [0, 1].
        amounts: :math:`a = \pm \alpha_2`, (C,).
    """
    shift = amounts.reshape(-1, *(1,) * weight.ndim) * weight * kinds
    return np.where(weight > 0, np.clip(image + shift, 0, 1), image)


def draw_kinds(image: Floats, tissue: Floats, shape_mask: Bools, rng: Random) -> Floats:
    """Draw which kinds of tissue take part in the bias; smoothed by one voxel, (C, *box).

    Each kind does with probability n_v / (n + 1000), by its voxels n_v of the n in the shape; if none, all.

    Args:
        image: (C, *box).
        tissue: Intensities of the brain, (C, N), whose quantiles are the kinds.
        shape_mask: Shape, (*box).
        rng: Source of the choice.
    """
    from scipy.ndimage import gaussian_filter

    result = np.empty_like(image)
    for k, (channel, values) in enumerate(zip(image, tissue, strict=True)):
        codes = np.quantile(values, CODES)
        nearest = np.searchsorted((codes[1:] + codes[:-1]) / 2, channel)
        counts = np.bincount(nearest[shape_mask], minlength=len(codes))
        choice = rng.random(len(codes)) < counts / (counts.sum() + SELDOM)
        choice = choice if choice.any() else np.ones(len(codes), bool)
        result[k] = gaussian_filter(choice[nearest].astype(float), 1, truncate=3)
    return result


def draw_soft_shape(brain: Bools, rng: Random) -> tuple[tuple[slice, ...], Floats]:
    """Draw a box, a ball or a ragged blob with a soft border: where it lies, and its weight there."""
    from scipy.ndimage import gaussian_filter

    side = float(np.mean(brain.shape))
    sides = rng.uniform(*SIDES, brain.ndim) * side
    blur = rng.uniform(0, BLUR * side) if rng.random() < 0.7 else 0.0
    reach = float(np.linalg.norm(sides)) / 2 + 2 * blur + 1
    window = Window.around(centre := draw_brain_voxel(brain, rng), reach, brain.shape)
    if (kind := rng.integers(3)) == 0:
        corner = [cut.start for cut in window.box]
        shift = index_voxels(window.distance.shape) + np.expand_dims(
            corner - centre, (*range(1, brain.ndim + 1),)
        )
        turn = draw_rotation(brain.ndim, math.pi / 12 if rng.random() < 0.5 else 0, rng)
        units = np.einsum("ij,j...->i...", turn, shift) / np.expand_dims(
            sides / 2, (*range(1, brain.ndim + 1),)
        )
        shape_mask = np.abs(units).max(0) <= 1
    else:
        radius = max(float(sides[0]) / 2, 1.5)
        shape_mask = window.distance <= radius if kind == 1 else draw_level(window, radius, rng) > 0
    weight = (
        gaussian_filter(shape_mask.astype(float), blur, mode="constant", truncate=2)
        if blur
        else shape_mask * 1.0
    )
    return window.box, np.where(weight > 0.004, weight, 0) * brain[window.box]


def paint_disyre(
    image: Floats, brain: Bools, sources: Sequence[Tensor], rng: Random, strength: float | None = None
) -> tuple[Floats, dict[str, Any]]:
    """Mix in a foreign patch, matched in range, and shift some kinds of tissue, all in one soft shape.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        sources: Images that patches come from, (C', *S'); when empty, the image itself.
        rng: Source of all randomness.
        strength: Of patch and bias, in [0, 1]; none draws both.

    Returns:
        The image after the change, and the drawn numbers: ``alpha_texture`` (0 where nothing changed) and
        ``alpha_bias``, the largest shift of a voxel.

    Reference:
        DISYRE v2 (Naval Marimont et al., 2024).
    """
    box, weight = draw_soft_shape(brain, rng)
    values, local = image.copy(), image[(slice(None), *box)]
    if not (weight > 0).any():
        return values, {"alpha_texture": 0.0, "alpha_bias": 0.0}
    patch = match_range(draw_patch(image, brain, box, sources, rng), local, weight > 0)
    alpha = _choose(strength, float(rng.random()))
    blend = mix_patch(local, patch, weight, alpha)
    kinds = draw_kinds(blend, image[:, brain], weight > 0, rng)
    amounts = _choose(strength, rng.random()) * rng.choice([-1.0, 1.0], len(image))
    result = add_bias(blend, weight, kinds, amounts)
    values[(slice(None), *box)] = result
    bias = float(np.abs(result - blend).max())
    return values, {"alpha_texture": alpha if (blend != local).any() else 0.0, "alpha_bias": bias}


def paint_foreign(
    image: Floats,
    brain: Bools,
    sources: Sequence[Tensor],
    rng: Random,
    strength: float | None = None,
    least: float = 0.2,
) -> tuple[Floats, dict[str, Any]]:
    """Mix in a patch of another scan as it is, with a soft border.

    Args:
        image: Image, (C, *S).
        brain: Brain, (*S).
        sources: Images that patches come from, (C', *S'); when empty, the image itself.
        rng: Source of all randomness.
        strength: In [0, 1]; none draws it.
        least: Smallest strength that is drawn.

    Returns:
        The image after the change, and the drawn number ``alpha_texture``.

    Reference:
        Foreign patch interpolation (Tan et al., 2020).
    """
    box, weight = draw_soft_shape(brain, rng)
    values, alpha = image.copy(), _choose(strength, float(rng.uniform(least, 1)))
    local = image[(slice(None), *box)]
    values[(slice(None), *box)] = mix_patch(local, draw_patch(image, brain, box, sources, rng), weight, alpha)
    return values, {"alpha_texture": alpha}


def _choose(strength: float | None, draw: float) -> float:
    return draw if strength is None else strength


def draw_patch(
    image: Floats, brain: Bools, box: tuple[slice, ...], sources: Sequence[Tensor], rng: Random
) -> Floats:
    """Cut a patch of the size of a box, (C, *box), around tissue of a source; small sources are repeated."""
    source = match_source(sources[int(rng.integers(len(sources)))], image, rng) if sources else image
    tissue = source[0] > source[0].min() if sources else brain
    centre = draw_brain_voxel(tissue, rng) if tissue.any() else np.array(tissue.shape) // 2
    patch = source
    for axis, (cut, middle) in enumerate(zip(box, centre, strict=True), 1):
        side, whole = cut.stop - cut.start, source.shape[axis]
        start = min(max(int(middle) - side // 2, 0), max(whole - side, 0))
        patch = np.take(patch, (start + np.arange(side)) % whole, axis)
    return patch
