"""What a lesion does to the tissue: one function for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffad.data.lesions.shape import Blob, draw_normal

DARK, BRIGHT = 0.1, 1.0
"""Target intensities of dark and bright lesions."""

CORE_RADIUS = 0.6
"""Radius of the growth that makes a mass effect, as a fraction of the radius of the lesion."""

CONTRAST = (0.2, 0.4)
"""Smallest and largest contrast, as fractions of the intensity range."""


@dataclass(frozen=True)
class LesionKind:
    """A kind of lesion.

    Args:
        change: Maps image (C, *S), blob, contrast and generator to the changed image.
        room: Maps the local means (*S) to the voxels where such a lesion can show.
    """

    change: Callable[[Tensor, Blob, float, torch.Generator], Tensor]
    room: Callable[[Tensor], Tensor]


def _smooth(x: Tensor, sigma: float) -> Tensor:
    """Blur ``x`` (*S) by a Gaussian of ``sigma`` voxels."""
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(x.cpu().double().numpy(), sigma)).to(x)


def _average(x: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean of each channel, (C, 1, ...)."""
    return (x * weight).sum(tuple(range(1, x.ndim)), keepdim=True) / weight.sum()


def _make_shift(target: float) -> Callable[[Tensor, Blob, float, torch.Generator], Tensor]:
    def change(image: Tensor, blob: Blob, contrast: float, generator: torch.Generator) -> Tensor:
        # the fraction of the way that moves the mean by the contrast; at most 0.8, to leave some anatomy
        room = (target - _average(image, blob.weight)).abs()
        fraction = (contrast / room.clamp(min=1e-6)).clamp(max=0.8)
        return image + blob.weight * fraction * (target - image)

    return change


def _add_texture(image: Tensor, blob: Blob, contrast: float, generator: torch.Generator) -> Tensor:
    w = blob.weight
    grain = _smooth(draw_normal(tuple(w.shape), image, generator), 1.0 + blob.radius / 12)
    grain = grain - (w * grain).sum() / w.sum()
    grain = grain / ((w * grain.square()).sum() / w.sum()).sqrt().clamp(min=1e-6)
    # both terms have a weighted mean of 0, so the mean intensity does not give the lesion away
    return image + w * (0.8 * (_average(image, w) - image) + 0.6 * contrast * grain)


def _push_outwards(image: Tensor, blob: Blob, contrast: float, generator: torch.Generator) -> Tensor:
    # p <- c + (p - c) (1 - a (1 - v^2)^2) with v = 3 q / 4: one to one for a < 1, still at v = 1,
    # and half of the largest displacement at q = 1
    pull = (0.5 + contrast) * (1 - (0.75 * blob.q).square()).clamp(min=0).square()
    centre = torch.tensor(blob.centre).to(image)
    source = centre + blob.offset * (1 - rearrange(pull, "... -> ... 1"))
    warped_image = torch.where(pull > 0, _sample(image, source), image)
    # a growth does the pushing, darker than the tissue it came from
    core = replace(blob, q=blob.q / CORE_RADIUS).weight
    growth = (_average(image, core) - contrast).clamp(min=DARK)
    return warped_image + 0.8 * core * (growth - warped_image)


def _sample(image: Tensor, source: Tensor) -> Tensor:
    size = torch.tensor(image.shape[1:]).to(image)
    grid = (2 * source / (size - 1).clamp(min=1) - 1).flip(-1)
    return F.grid_sample(image[None], grid[None], padding_mode="border", align_corners=True)[0]


def _make_room_test(target: float) -> Callable[[Tensor], Tensor]:
    return lambda local: (target - local).abs() > CONTRAST[0]


def _allow_all(local: Tensor) -> Tensor:
    return torch.ones_like(local, dtype=torch.bool)


KIND_BY_NAME = {
    "dark": LesionKind(_make_shift(DARK), _make_room_test(DARK)),
    "bright": LesionKind(_make_shift(BRIGHT), _make_room_test(BRIGHT)),
    "textured": LesionKind(_add_texture, _allow_all),
    "mass_effect": LesionKind(_push_outwards, _allow_all),
}
KINDS = tuple(KIND_BY_NAME)
