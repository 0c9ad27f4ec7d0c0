"""Guidance by what a network is told of the scan: it is compared with itself, told nothing of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.denoise import GuidedDenoiser, as_denoiser
from diffad.guidance.free import repeat_twice
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES

NULLS = {"image": (0.5,), "place": (-1.0, 0.0)}
"""What a network is told of an item, by condition, whose condition was dropped in training."""


@GUIDANCES.register("condition_free")
class ConditionFreeGuidance:
    r"""Moves the clean estimate from what a network says without a condition to what it says with it.

    .. math:: \hat x = \hat x_\varnothing + s (\hat x_c - \hat x_\varnothing)

    The network must have been trained with the condition dropped now and then: the image of "beside" (its
    option ``drop``), or the place of a slice ("unet2d" with ``place_drop``). Both estimates come from one
    call with twice the batch: samplers, which count calls, say half of the network evaluations that it costs.
    For s of 0 and 1, and for slices of no place, a single one is made.

    Args:
        scale: How strongly, s; 0 leaves the condition out, 1 is the network as it is.
        condition: "image" or "place".

    Raises:
        ValueError: If an option is out of range, or the network takes no such condition: at once for places,
            and once conditions are made for images.

    Reference:
        Classifier-Free Diffusion Guidance (Ho and Salimans, 2021), eq. 6, where w is s - 1, with what is
        known of the scan in the place of a class.

    Example:
        >>> guided = GUIDANCES.build("condition_free", scale=1.5, condition="image")(denoiser)
    """

    def __init__(self, scale: float = 1.5, condition: str = "image") -> None:
        if not math.isfinite(scale) or scale < 0:
            raise ValueError(f"expected a scale that is finite and at least 0, got {scale}")
        if condition not in NULLS:
            raise ValueError(f"condition must be one of {', '.join(NULLS)}, got {condition!r}")
        self.scale, self.condition = scale, condition

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """Return the guided denoiser."""
        if self.condition == "place" and not as_denoiser(denoiser).takes_place:
            raise ValueError(
                "expected a network that takes the place of a slice, such as unet2d with place, got none"
            )
        return FreedDenoiser(denoiser, float(self.scale), self.condition)


@dataclass(frozen=True, eq=False)
class FreedDenoiser(GuidedDenoiser):
    """A denoiser that heeds a condition more strongly, or less, than in training.

    Args:
        inner: The one inside.
        scale: 0 is without the condition, 1 with it; more goes beyond.
        condition: Name of the condition.
    """

    scale: float
    condition: str

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        value = cond.get(self.condition)
        if value is None or self.scale == 1:
            return self.inner(x_t, t, **cond)
        null = self._forget(value)
        if self.scale == 0:
            return self.inner(x_t, t, **cond | {self.condition: null})
        rows = {name: repeat_twice(value, len(x_t)) for name, value in cond.items()}
        rows[self.condition] = torch.cat([null, value])
        levels = repeat_twice(torch.as_tensor(t, device=x_t.device), len(x_t))
        base, target = self.inner.without_clamp()(repeat_twice(x_t, len(x_t)), levels, **rows).chunk(2)
        x_hat = base + self.scale * (target - base)
        return x_hat.clamp(-1, 1) if self.clamps else x_hat

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what the denoiser must know of ``image`` (B, C, *S) in [0, 1].

        Raises:
            ValueError: If it takes no image, and shall be steered by it.
        """
        conditions = self.inner.conditions(image, mask)
        if self.condition == "image" and "image" not in conditions:
            raise ValueError(
                "expected a network that sees the image, such as model 'beside', for guidance by it, got none"
            )
        return conditions

    def _forget(self, value: Tensor) -> Tensor:
        """Return what an item is told whose condition was dropped, shaped like ``value``."""
        return value.new_tensor(NULLS[self.condition]).expand_as(value)  # of a place, or of every voxel
