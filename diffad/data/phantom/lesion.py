"""Lesions of phantoms: their places, their sizes, and how each modality shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from diffad.data.lesions.shape import draw_blob, draw_centre, draw_uniform, find_box, find_deep_places
from diffad.data.phantom.tissue import Tissue

MAX_TRIES = 200
"""Number of times that a lesion is drawn until it is large enough."""

PLACE_SPACING = 3.0
"""Distance of the possible centres of a lesion, in mm, where voxels are smaller."""

MIN_VOLUME = 0.4
"""Smallest volume of a lesion, as a fraction of a ball of the drawn radius; smaller ones are drawn again."""


@dataclass(frozen=True)
class PhantomLesionKind:
    """A kind of lesion.

    Args:
        radius: Smallest and largest radius, in mm.
        count: Smallest and largest number of them in one brain.
        white_only: Whether they lie in white matter only.
        values: Value of the lesion, by MR modality.
        ct: Smallest and largest change in Hounsfield units.
    """

    radius: tuple[float, float]
    count: tuple[int, int]
    white_only: bool
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
        weight: Fraction of lesion in each voxel, (I, J, K), in [0, 1].
        strength: Position of the change between the smallest and the largest of the kind, in [0, 1].
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
    """Draw lesions of one kind; they lie in the brain, and not in its fluid.

    Args:
        name: Kind of the lesions.
        tissue: Tissues of the brain.
        spacing: Edge of a voxel, in mm.
        generator: Source of number, places, sizes and shapes.

    Raises:
        ValueError: If the kind is unknown or the brain has no room.
    """
    if name not in KINDS:
        raise ValueError(f"expected a kind of lesion among {', '.join(KINDS)}, got {name!r}")
    kind, strength = KINDS[name], draw_uniform(0, 1, generator)
    low, high = kind.count
    places = _find_places(tissue, kind, spacing)
    weight = torch.zeros_like(tissue.fluid)
    for _ in range(int(draw_uniform(low, high + 1, generator))):
        _add_lesion(weight, places, tissue, kind, spacing, generator)
    return PhantomLesions(name, weight, strength)


def _find_places(tissue: Tissue, kind: PhantomLesionKind, spacing: float) -> tuple[Tensor, int]:
    """Return the possible centres of lesions, clear of the surface of the brain, and their stride."""
    stride = max(1, round(PLACE_SPACING / spacing))
    subgrid = (slice(None, None, stride),) * 3
    room = (tissue.white if kind.white_only else tissue.solid)[subgrid] > 0.8
    places = room & find_deep_places(tissue.brain_mask[subgrid], kind.radius[0] / (stride * spacing))
    if not places.any():
        shape = tuple(tissue.brain_mask.shape)
        raise ValueError(f"expected a brain with room for lesions, found none in a box of {shape} voxels")
    return places, stride


def _add_lesion(
    weight: Tensor,
    places: tuple[Tensor, int],
    tissue: Tissue,
    kind: PhantomLesionKind,
    spacing: float,
    generator: torch.Generator,
) -> None:
    """Add one lesion to ``weight``."""
    host = tissue.white if kind.white_only else tissue.solid
    for _ in range(MAX_TRIES):
        radius = max(draw_uniform(*kind.radius, generator) / spacing, 1.3)
        centre = tuple(places[1] * c for c in draw_centre(places[0], generator))
        box = find_box(centre, radius, tuple(weight.shape))
        local_centre = tuple(c - cut.start for c, cut in zip(centre, box, strict=True))
        old_weight = weight[box]
        blob = draw_blob(local_centre, radius, tuple(old_weight.shape), generator, old_weight)
        lesion_weight = blob.weight * (1.4 * host[box] - 0.2).clamp(0, 1)
        if (lesion_weight > 0.5).sum() >= MIN_VOLUME * 4.19 * radius**3:
            weight[box] = torch.maximum(old_weight, lesion_weight)
            return
    low, high = kind.radius
    raise ValueError(
        f"expected room for a lesion with a radius of {low:g} to {high:g} mm, found none in {MAX_TRIES} tries"
    )
