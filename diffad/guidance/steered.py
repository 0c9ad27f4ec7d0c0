"""What wrappers share that change the estimate of a denoiser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor

from diffad.denoise import taken, unclipped, unguided
from diffad.protocols import Denoiser
from diffad.schedule import Schedule

PASSED = ("conditions", "reference")
"""What a steered denoiser has if the one inside has it."""


@dataclass(frozen=True)
class Steered:
    """A denoiser whose estimates are changed, and which is the one inside in all else.

    Args:
        denoiser: The one inside.
    """

    denoiser: Denoiser

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        return self.denoiser.schedule

    def unclipped(self) -> Self:
        """Return the same denoiser without the clamp, where it has one."""
        return replace(self, denoiser=unclipped(self.denoiser))

    def unguided(self) -> Denoiser:
        """Return the denoiser inside, without what steers it either."""
        return unguided(self.denoiser)

    def taken(self, items: Tensor) -> Self:
        """Return the denoiser of some scans of the batch, by their numbers (n,)."""
        return replace(self, denoiser=taken(self.denoiser, items))

    def __getattr__(self, name: str) -> Any:
        if name in PASSED:
            return getattr(self.denoiser, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


def clamps(denoiser: Denoiser) -> bool:
    """Tell whether the estimates of a denoiser, or of the one it wraps, are clamped to [-1, 1]."""
    inside = getattr(denoiser, "denoiser", None)
    return bool(getattr(denoiser, "clip", False)) if inside is None else clamps(inside)
