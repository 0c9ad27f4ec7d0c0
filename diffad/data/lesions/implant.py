"""Implanting one lesion in one scan, or one of every kind in every scan."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from diffad.data.lesions.kinds import CONTRAST, KIND_BY_NAME, KINDS
from diffad.data.lesions.shape import (
    average_locally,
    draw_blob,
    draw_centre,
    draw_uniform,
    find_box,
    find_deep_places,
)


@dataclass(frozen=True)
class ImplantedLesion:
    """A scan with one lesion in it.

    Args:
        image: Changed scan, (C, *S), in [0, 1].
        mask: Extent of the lesion, (1, *S), boolean: where its soft weight exceeds 1/2.
        kind: One of ``KINDS``.
        params: The drawn numbers: ``centre`` and ``radius`` (voxels), ``contrast`` (fraction of the range).
    """

    image: Tensor
    mask: Tensor
    kind: str
    params: dict[str, Any] = field(default_factory=dict)


def implant(
    image: Tensor,
    brain: Tensor,
    kind: str,
    generator: torch.Generator,
    radius: tuple[float, float] | None = None,
) -> ImplantedLesion:
    r"""Implant one soft-edged lesion of irregular shape in the brain.

    .. math:: q(p) = \frac{\lVert A (p - c) \rVert}{r \, (1 + n(\theta))}, \quad
              w = \mathrm{smoothstep}\!\left(\frac{1 + e - q}{2 e}\right)

    with :math:`A` a random ellipsoid of unit volume, :math:`n` a smooth random function of the direction and
    :math:`e` the half-width of the edge. ``dark`` and ``bright`` move the tissue towards a dark or bright
    target, ``textured`` replaces it by a correlated texture of the same mean, ``mass_effect`` pushes it
    outwards around a small growth of its own intensity. Nothing changes outside the brain, nor beyond
    :math:`q = 4/3`. The mask is where :math:`q < 1` inside the brain, that is :math:`w > 1/2`; for
    ``mass_effect`` these are the growth and the tissue around it that moved by more than half of the
    largest displacement.

    Args:
        image: Scan, (C, *S) with two or three spatial axes, in [0, 1]; all channels get the same lesion.
        brain: Brain mask, (1, *S), boolean.
        kind: One of ``KINDS``.
        generator: Source of all randomness.
        radius: Smallest and largest radius :math:`r`, in voxels; by default 4 and 10 % of the shortest side.

    Raises:
        ValueError: If the kind is unknown, the brain is empty, or radii, a shape or an intensity do not fit.
        TypeError: If the image is not floating point or the brain not boolean.
    """
    _check_scan(image, brain, kind)
    r = draw_uniform(*_choose_radii(radius, min(image.shape[1:])), generator)
    contrast = draw_uniform(*CONTRAST, generator)
    centre = draw_centre(_find_places(image, brain[0], kind, r), generator)
    box = (slice(None), *find_box(centre, r, tuple(image.shape[1:])))
    crop, brain_crop = image[box], brain[box]
    local_centre = tuple(c - cut.start for c, cut in zip(centre, box[1:], strict=True))
    blob = draw_blob(local_centre, r, tuple(crop.shape[1:]), generator, image)
    lesion_image, mask = image.clone(), torch.zeros_like(brain)
    lesion_image[box] = torch.where(
        brain_crop, KIND_BY_NAME[kind].change(crop, blob, contrast, generator).clamp(0, 1), crop
    )
    mask[box] = rearrange(blob.q < 1, "... -> 1 ...") & brain_crop
    return ImplantedLesion(lesion_image, mask, kind, {"centre": centre, "radius": r, "contrast": contrast})


def implant_all(slices: Tensor, brains: Tensor, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Implant one lesion of every kind in every scan; scan i depends on (seed, kind, i) and itself alone.

    Args:
        slices: Healthy scans, (N, C, *S), in [0, 1].
        brains: Brain masks, (N, 1, *S) or one for all (1, 1, *S), boolean.
        seed: Any integer.

    Returns:
        By kind, the changed scans (N, C, *S) and the masks (N, 1, *S).
    """
    brains = brains.expand(len(slices), *brains.shape[1:])
    result = {}
    for kind in KINDS:
        pairs = enumerate(zip(slices, brains, strict=True))
        lesions = [implant(x, brain, kind, _seed_generator(seed, kind, i)) for i, (x, brain) in pairs]
        result[kind] = (torch.stack([y.image for y in lesions]), torch.stack([y.mask for y in lesions]))
    return result


def _find_places(image: Tensor, brain: Tensor, kind: str, radius: float) -> Tensor:
    deep = find_deep_places(brain, radius)
    places = deep & KIND_BY_NAME[kind].room(average_locally(image.mean(0), radius))
    # a brain without room for any contrast still gets a lesion, a weaker one
    return places if places.any() else deep


def _seed_generator(seed: int, kind: str, index: int) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed}/{kind}/{index}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def _choose_radii(radius: tuple[float, float] | None, side: int) -> tuple[float, float]:
    low, high = radius if radius is not None else (0.04 * side, 0.1 * side)
    if not 0 < low <= high:
        raise ValueError(f"expected radii 0 < low <= high, got ({low}, {high})")
    return low, high


def _check_scan(image: Tensor, brain: Tensor, kind: str) -> None:
    if kind not in KIND_BY_NAME:
        raise ValueError(f"expected a kind of lesion among {', '.join(KINDS)}, got {kind!r}")
    if image.ndim not in (3, 4) or brain.shape != (1, *image.shape[1:]):
        shapes = f"{tuple(image.shape)} and {tuple(brain.shape)}"
        raise ValueError(f"expected image (C, *S) and brain (1, *S), got {shapes}")
    if not image.is_floating_point() or brain.dtype != torch.bool:
        raise TypeError(f"expected a float image and a boolean brain, got {image.dtype} and {brain.dtype}")
    if not brain.any():
        raise ValueError("expected a brain mask with voxels in it, got an empty one")
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"expected intensities in [0, 1], got {image.min():.3g} to {image.max():.3g}")
