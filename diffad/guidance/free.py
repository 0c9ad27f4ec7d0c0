"""Guidance without a classifier: a network that takes labels is compared with itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from einops import repeat
from torch import Tensor

from diffad.denoise import GuidedDenoiser, as_denoiser
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES


@GUIDANCES.register("classifier_free")
class ClassifierFreeGuidance:
    r"""Moves the clean estimate from what a network says of any image to what it says of the target.

    .. math:: \hat x = \hat x_b + s (\hat x_y - \hat x_b)

    It is the guidance of the classifier :math:`p(y \mid x_t, t)` that is implied by a network trained with
    and without labels. Both estimates come from one call with twice the batch: samplers, which count calls,
    say half of the network evaluations that it costs. For s of 0 and 1 a single one is made.

    Args:
        scale: How strongly, s; 0 is the base and 1 the target.
        target: Class y; 0 is healthy.
        base: What is steered away from, b: "null" for no class, or another class.

    Raises:
        ValueError: If an option is out of range, or on call, if the network knows of no labels or not these.

    Reference:
        Classifier-Free Diffusion Guidance (Ho and Salimans, 2021), eq. 6, where w is s - 1.

    Example:
        >>> guided = GUIDANCES.build("classifier_free", scale=3.0, base=1)(denoiser)
    """

    def __init__(self, scale: float = 3.0, target: int = 0, base: str | int = "null") -> None:
        if not math.isfinite(scale) or scale < 0:
            raise ValueError(f"expected a scale that is finite and at least 0, got {scale}")
        if target < 0:
            raise ValueError(f"expected a target class of at least 0, got {target}")
        if base != "null" and (isinstance(base, str) or base < 0 or base == target):
            raise ValueError(f"expected a base that is 'null' or a class other than {target}, got {base!r}")
        self.scale, self.target, self.base = scale, target, base

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """Return the guided denoiser."""
        null = _require_null_label(denoiser)
        base = null if isinstance(self.base, str) else self.base
        for name, label, highest in (("target", self.target, null - 1), ("base", base, null)):
            if label > highest:
                raise ValueError(f"expected a {name} among the {null} classes of the network, got {label}")
        return ContrastedDenoiser(denoiser, float(self.scale), self.target, base)


@dataclass(frozen=True, eq=False)
class ContrastedDenoiser(GuidedDenoiser):
    """A denoiser that is given a class, more strongly than in training.

    Args:
        inner: The one inside; takes the labels ``y`` (B,).
        scale: 0 is the base, 1 the target; more goes beyond.
        target: Label that is steered to.
        base: Label that is steered away from.
    """

    scale: float
    target: int
    base: int

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        if self.scale in (0, 1):
            y = torch.full((len(x_t),), self.target if self.scale else self.base, device=x_t.device)
            return self.inner(x_t, t, y=y, **cond)
        base, target = self._estimate_both(x_t, t, cond)
        x_hat = base + self.scale * (target - base)
        return x_hat.clamp(-1, 1) if self.clamps else x_hat

    def _estimate_both(self, x_t: Tensor, t: Tensor, cond: dict[str, Any]) -> tuple[Tensor, ...]:
        """Return what the denoiser says of the base and of the target, not clamped, from one call."""
        y = torch.tensor([self.base, self.target], device=x_t.device)
        cond = {name: repeat_twice(value, len(x_t)) for name, value in cond.items()}
        cond["y"] = repeat(y, "k -> (k b)", b=len(x_t))
        levels = repeat_twice(torch.as_tensor(t, device=x_t.device), len(x_t))
        return self.inner.without_clamp()(repeat_twice(x_t, len(x_t)), levels, **cond).chunk(2)


def repeat_twice(value: Any, batch: int) -> Any:
    """Repeat a tensor with one row for each item, "(k b)" with k = 2; anything else passes."""
    per_item = isinstance(value, Tensor) and value.ndim > 0 and len(value) == batch
    return repeat(value, "b ... -> (k b) ...", k=2) if per_item else value


def _require_null_label(denoiser: Denoiser) -> int:
    """Return the label of no class, which is the number of classes of the network inside."""
    label = as_denoiser(denoiser).null_label
    if label is None:
        raise ValueError("expected a network with labels, such as model 'labelled', got one without labels")
    return label
