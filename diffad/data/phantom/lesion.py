"""Lesions of phantoms: where they may lie, how large they are and what each modality shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from diffad.data.lesions.shape import box_around, deep_places, draw_blob, draw_centre, draw_uniform
from diffad.data.phantom.tissue import Tissue

TRIES = 200
"""Draws until a lesion is large enough."""

COARSE = 3.0
"""Distance of the places a lesion may be centred at, in mm, where voxels are smaller."""

LEAST = 0.4
"""Share of the volume of a ball of the drawn radius that a lesion must have; less is drawn again."""


@dataclass(frozen=True)
class PhantomLesionKind:
    """A kind of lesion.

    Args:
        radius: Smallest and largest radius, in mm.
        count: Fewest and most of them in one brain.
        white: Whether they lie in white matter only.
        values: Value that tissue turns to, by MR modality.
        ct: Smallest and largest change in Hounsfield units.
    """

    radius: tuple[float, float]
    count: tuple[int, int]
    white: bool
    values: Mapping[str, float]
    ct: tuple[float, float]


KINDS: Mapping[str, PhantomLesionKind] = MappingProxyType(
    {
        "ischaemia": PhantomLesionKind(
            (11, 22), (1, 1), False, {"t1": 0.36, "t2": 0.88, "flair": 0.95}, (-12, -8)
        ),
        "haemorrhage": PhantomLesionKind(
            (9, 17), (1, 1), False, {"t1": 0.32, "t2": 0.95, "flair": 0.9}, (25, 35)
        ),
        "plaques": PhantomLesionKind((4, 7), (4, 9), True, {"t1": 0.42, "t2": 0.82, "flair": 1.0}, (-12, -8)),
    }
)
"""The kinds of lesions: bright on T2 and FLAIR, dark on T1; bright or dark on CT."""


@dataclass(frozen=True)
class PhantomLesions:
    """Lesions of one kind in one brain.

    Args:
        kind: Kind of the lesions.
        weight: How far tissue has turned into lesion, (I, J, K), in [0, 1].
        strength: Where the change lies between the kind's smallest and largest, in [0, 1].
    """

    kind: str
    weight: Tensor
    strength: float

    @property
    def mask(self) -> Tensor:
        """Voxels that are lesion for the greater part, (I, J, K), bool."""
        return self.weight > 0.5

    def show(self, image: Tensor, modality: str) -> Tensor:
        """Turn the ``image`` (I, J, K) of a healthy brain into one with the lesions."""
        kind = KINDS[self.kind]
        if modality == "ct":
            low, high = kind.ct
            return image + (low + self.strength * (high - low)) * self.weight
        return torch.lerp(image, torch.full_like(image, kind.values[modality]), self.weight)


def draw_lesion(name: str, tissue: Tissue, spacing: float, generator: torch.Generator) -> PhantomLesions:
    """Draw lesions of one kind; they lie in the brain and leave its fluid alone.

    Args:
        name: Kind of the lesions.
        tissue: Tissues of the brain.
        spacing: Edge of a voxel, in mm.
        generator: Source of number, places, sizes and shapes.

    Raises:
        ValueError: If the kind is unknown or the brain has no room.
    """
    if name not in KINDS:
        raise ValueError(f"expected a kind of lesion out of {', '.join(KINDS)}, got {name!r}")
    kind, strength = KINDS[name], draw_uniform(0, 1, generator)
    low, high = kind.count
    places = _places(tissue, kind, spacing)
    weight = torch.zeros_like(tissue.fluid)
    for _ in range(int(draw_uniform(low, high + 1, generator))):
        _grow(weight, places, tissue, kind, spacing, generator)
    return PhantomLesions(name, weight, strength)


def _places(tissue: Tissue, kind: PhantomLesionKind, spacing: float) -> tuple[Tensor, int]:
    """Mark where lesions may be centred, on every few voxels: clear of the surface of the brain."""
    stride = max(1, round(COARSE / spacing))
    thin = (slice(None, None, stride),) * 3
    room = (tissue.white if kind.white else tissue.solid)[thin] > 0.8
    places = room & deep_places(tissue.inside[thin], kind.radius[0] / (stride * spacing))
    if not places.any():
        raise ValueError(f"expected room for lesions, found none in a brain {tuple(tissue.inside.shape)}")
    return places, stride


def _grow(
    weight: Tensor,
    places: tuple[Tensor, int],
    tissue: Tissue,
    kind: PhantomLesionKind,
    spacing: float,
    generator: torch.Generator,
) -> None:
    """Add one lesion to ``weight``."""
    host = tissue.white if kind.white else tissue.solid
    for _ in range(TRIES):
        radius = max(draw_uniform(*kind.radius, generator) / spacing, 1.3)
        centre = tuple(places[1] * c for c in draw_centre(places[0], generator))
        box = box_around(centre, radius, tuple(weight.shape))
        here = tuple(c - part.start for c, part in zip(centre, box, strict=True))
        part = weight[box]
        blob = draw_blob(here, radius, tuple(part.shape), generator, part)
        grown = blob.weight * (1.4 * host[box] - 0.2).clamp(0, 1)
        if (grown > 0.5).sum() >= LEAST * 4.19 * radius**3:
            weight[box] = torch.maximum(part, grown)
            return
    raise ValueError(f"expected room for a lesion of radius {kind.radius} mm, found none in {TRIES} tries")
