"""What is implanted where: kinds, sizes and depths in turn, so that a few scans show all of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch

from diffad.data.lesions import KINDS
from diffad.data.lesions.shape import draw_uniform

SIZES = {"tiny": (0.01, 0.1), "small": (0.1, 1.0), "medium": (1.0, 10.0), "large": (10.0, 50.0)}
"""Smallest and largest volume of a lesion, in ml."""

COUNTS = {"tiny": 12, "small": 6, "medium": 3, "large": 1}
"""Lesions in one brain, by their size."""

DEPTHS = {"cortical": (0.0, 8.0), "deep": (12.0, math.inf)}
"""Depth of the centre below the surface of the brain, in mm."""


@dataclass(frozen=True)
class ImplantPlan:
    """One volume of a set.

    Args:
        kind: Kind of all its lesions, one of ``KINDS``; none for a healthy one.
        size: Size of all its lesions, a key of ``SIZES``; none for a healthy one.
    """

    kind: str | None = None
    size: str | None = None

    @property
    def group(self) -> str:
        """What rows are grouped by."""
        return self.kind or "healthy"


def plan_volume(number: int) -> ImplantPlan:
    """Plan volume ``number`` of a set: every kind in four volumes, every kind in every size in sixteen."""
    sizes = list(SIZES)
    return ImplantPlan(KINDS[number % len(KINDS)], sizes[(number + number // len(KINDS)) % len(sizes)])


def draw_volume(size: str, generator: torch.Generator) -> float:
    """Draw the volume of a lesion in mm3, uniform in its logarithm."""
    low, high = (math.log(1000 * ml) for ml in SIZES[size])
    return math.exp(draw_uniform(low, high, generator))


def seed_generator(seed: int, name: str) -> torch.Generator:
    """Seed what is drawn for one volume by its name, so that it is the same in any set."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
