"""Irregular lesions of a given volume in whole brains: a ball, stretched and eaten into by coarse noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diffad.data.lesions.implant import ImplantedLesion
from diffad.data.lesions.kinds import CONTRAST, KIND_BY_NAME
from diffad.data.lesions.shape import (
    Blob,
    average_locally,
    draw_centre,
    draw_norm,
    draw_normal,
    draw_uniform,
)
from diffad.data.volume import Array

REACH_RADII = 3.0
"""Half-side of the box that a lesion may fill, in radii of the ball of its volume."""

TRIES = 6
"""Thresholds that are tried to come near a volume."""

NOISE_SCALES = ((0.5, 0.45), (0.22, 0.15))
"""Correlation lengths, in radii, and weights of the two noises that make a border irregular."""


def implant_irregular(
    image: Tensor,
    brain: Tensor,
    places: Tensor,
    kind: str,
    volume: float,
    spacing: Sequence[float],
    generator: torch.Generator,
) -> ImplantedLesion:
    r"""Implant one irregular lesion of a given volume, centred in one of some places.

    .. math:: g(p) = \frac{\lVert A (p - c) \rVert}{r} + n(p), \quad L = \{p \in B : g(p) < t\}

    with :math:`A` a random stretch of unit volume, :math:`n` coarse noise, :math:`B` the brain, and :math:`t`
    such that the largest piece of :math:`L`, which is the lesion, has about the volume. What the kind does to
    the tissue follows the distance from the border of :math:`L`, as in ``implant``.

    Args:
        image: Scan, (C, I, J, K), in [0, 1].
        brain: Brain mask, (1, I, J, K), boolean.
        places: Where the centre may lie, (I, J, K), boolean, with a voxel in it.
        kind: One of ``KINDS``.
        volume: Volume in mm3.
        spacing: Edges of a voxel in mm.
        generator: Source of all randomness.
    """
    radius = (3 * volume / (4 * math.pi)) ** (1 / 3)
    contrast = draw_uniform(*CONTRAST, generator)
    room = KIND_BY_NAME[kind].room(average_locally(image.mean(0), radius / min(spacing)))
    centre = draw_centre(places & room if (places & room).any() else places, generator)
    halves = [math.ceil(REACH_RADII * radius / edge) + 2 for edge in spacing]
    cuts = [slice(max(c - h, 0), c + h + 1) for c, h in zip(centre, halves, strict=True)]
    box = (slice(None), *cuts)
    local_centre = tuple(c - cut.start for c, cut in zip(centre, cuts, strict=True))
    blob, shape = draw_irregular(local_centre, volume, spacing, brain[box][0], generator)
    lesion_image, mask = image.clone(), torch.zeros_like(brain)
    change = KIND_BY_NAME[kind].change(image[box], blob, contrast, generator).clamp(0, 1)
    lesion_image[box] = torch.where(brain[box], change, image[box])
    mask[box] = shape[None] & brain[box]
    middle = tuple(c + cut.start for c, cut in zip(blob.centre, cuts, strict=True))
    params = {"centre": middle, "radius": radius, "contrast": contrast}
    return ImplantedLesion(lesion_image, mask, kind, params)


def draw_irregular(
    centre: tuple[int, ...],
    volume: float,
    spacing: Sequence[float],
    brain: Tensor,
    generator: torch.Generator,
) -> tuple[Blob, Tensor]:
    """Draw a shape in the brain (I, J, K), as what a kind of lesion needs of it, and as a mask (I, J, K)."""
    edges = torch.tensor(list(spacing), dtype=torch.float32)
    radius = (3 * volume / (4 * math.pi)) ** (1 / 3)
    axes = [torch.arange(n, dtype=torch.float32) for n in brain.shape]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - torch.tensor(centre).float()
    field = draw_norm(offset * edges, generator) / radius
    for scale, weight in NOISE_SCALES:
        field = field + weight * _draw_noise(tuple(brain.shape), scale * radius, spacing, generator)
    count = max(round(volume / math.prod(spacing)), 1)
    lesion_mask = _take_lowest(field.masked_fill(~brain, math.inf).numpy(), count)
    q, depth = _measure_border(lesion_mask, spacing)
    radius_voxels = radius / float(np.prod(spacing)) ** (1 / 3)
    # a growth pushes from where it is thickest
    middle = tuple(int(i) for i in np.unravel_index(int(depth.argmax()), depth.shape))
    offset = offset + torch.tensor(centre).float() - torch.tensor(middle).float()
    return Blob(middle, radius_voxels, offset, torch.from_numpy(q)), torch.from_numpy(lesion_mask)


def _draw_noise(
    shape: tuple[int, ...], length: float, spacing: Sequence[float], generator: torch.Generator
) -> Tensor:
    """Draw noise (I, J, K) of unit SD that is correlated over some mm."""
    from scipy.ndimage import gaussian_filter

    white = draw_normal(shape, torch.zeros(()), generator).numpy()
    noise = gaussian_filter(white, [length / edge for edge in spacing], mode="wrap")
    return torch.from_numpy(noise / max(float(noise.std()), 1e-6))


def _take_lowest(field: Array, count: int) -> Array:
    """Mark the largest piece, without holes, of the lowest values (I, J, K), of about ``count`` voxels."""
    order, total = np.sort(field[np.isfinite(field)]), count
    best: Array | None = None
    for _ in range(TRIES):
        piece = _take_largest(field <= order[min(total, len(order)) - 1])
        size = int(piece.sum())
        if best is None or abs(size - count) < abs(int(best.sum()) - count):
            best = piece
        if abs(size - count) <= count / 10:
            break
        total = max(round(total * count / size), 1)
    assert best is not None
    return best & np.isfinite(field)


def _take_largest(mask: Array) -> Array:
    from scipy.ndimage import binary_fill_holes, label

    labels, _ = label(mask)
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    return np.asarray(binary_fill_holes(labels == largest))


def _measure_border(lesion_mask: Array, spacing: Sequence[float]) -> tuple[Array, Array]:
    """Return the distance from the middle in units of that of the border, (I, J, K), and the depth in mm."""
    from scipy.ndimage import distance_transform_edt

    half = min(spacing) / 2
    depth = distance_transform_edt(np.pad(lesion_mask, 1), spacing)[(slice(1, -1),) * lesion_mask.ndim]
    beyond = distance_transform_edt(~lesion_mask, spacing)
    distance = np.where(lesion_mask, half - depth, beyond - half)
    thickness = max(float(-distance.min()), half)
    return (1 + distance / thickness).clip(0).astype(np.float32), depth
