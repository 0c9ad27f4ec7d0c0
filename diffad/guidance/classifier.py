"""Guidance by the gradient of a classifier that knows healthy from diseased at every level."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from diffad.denoise import ClampedDenoiser, GuidedDenoiser
from diffad.guidance.gradient import check_finite, check_target, find_target_gradient, widen
from diffad.guidance.told import tell_class
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES
from diffad.types import widest_float


@GUIDANCES.register("classifier")
class ClassifierGuidance:
    r"""Moves the clean estimate to where a classifier of noisy images finds the target more likely.

    .. math:: \hat x' = \hat x + s \frac{1 - \bar\alpha_t}{\sqrt{\bar\alpha_t}} g, \quad
              g = \nabla_{x_t} \log p(y \mid x_t, t)

    which is :math:`\hat\epsilon' = \hat\epsilon - s \sigma_t g` for a network of noise, and
    :math:`\hat v' = \hat v - s \sigma_t / \alpha_t g` for one of velocity. With the true classifier and
    s = 1 it is the denoiser of the class y. The gradient is that of the sum over the batch, in single
    precision or better whatever the network runs in; where s is 0 no classifier is run at all.

    Args:
        scale: How strongly, s; or one for each scan of a batch.
        target: Class y; 0 is healthy.
        levels: Lowest and highest level at which it acts; none acts at all levels.
        classifier: The network or its folder; none takes that of the pipeline.
        reference: Clamp to [-1, 1] before the move and not after, as published, also where a sampler such as
            "inversion" clamps nothing of its own, and in both of its directions; in both of which a network
            with classes is told the target.

    Raises:
        ValueError: If an option is out of range; on call, if there is no classifier, if it does not fit the
            scan or the target, the network has no such class, or the gradient is not finite.

    Reference:
        Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022), algorithm 1, after Diffusion
        Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), algorithm 2.

    Example:
        >>> guided = GUIDANCES.build("classifier", scale=100.0, classifier="runs/classifier")(denoiser)
    """

    def __init__(
        self,
        scale: float | Sequence[float] = 1.0,
        target: int = 0,
        levels: Sequence[int] | None = None,
        classifier: Any = None,
        reference: bool = False,
    ) -> None:
        _check_options(scale, target, levels)
        self.scale, self.target, self.levels = scale, target, levels
        self.classifier, self.reference = classifier, reference

    def attach_networks(self, networks: Mapping[str, Any]) -> None:
        """Take the ``classifier`` of a pipeline, unless one was given."""
        if self.classifier is None:
            self.classifier = networks.get("classifier")

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """Return the guided denoiser."""
        scales = _list_scales(self.scale)
        classifier = self._require_classifier() if any(scales) else None
        levels = None if self.levels is None else (self.levels[0], self.levels[1])
        denoiser = tell_class(denoiser, self.target) if self.reference else denoiser
        return ClassifierGuidedDenoiser(denoiser, classifier, scales, self.target, levels, self.reference)

    def _require_classifier(self) -> Callable[..., Any]:
        if not callable(self.classifier):
            # networks take a second to import
            from diffad.models.auxiliary import require_network

            self.classifier = require_network(self.classifier, "classifier", "the guidance 'classifier'")
        classes = getattr(getattr(self.classifier, "config", None), "classes", self.target + 1)
        check_target(self.target, classes)
        return widen(self.classifier)


@dataclass(frozen=True, eq=False)
class ClassifierGuidedDenoiser(GuidedDenoiser):
    """A denoiser whose estimates are moved by a classifier.

    Args:
        inner: The one inside.
        classifier: Called as ``classifier(x_t, labels)``; answers logits (B, K). None where all scales are 0.
        scales: One for all scans of a batch, or one for each.
        target: Class that is to become likelier.
        levels: Lowest and highest level at which it acts; none for all.
        clip_first: Clamp before the move and not after.
    """

    classifier: Callable[..., Any] | None
    scales: tuple[float, ...]
    target: int = 0
    levels: tuple[int, int] | None = None
    clip_first: bool = False

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map a stack "(k b)", (k b, C, *S), at level ``t`` () or (k b,) to x_hat (k b, C, *S)."""
        levels = torch.as_tensor(t, device=x_t.device).expand(len(x_t))
        scale = self._scale_states(x_t, levels)
        if not scale.any():
            return self.inner(x_t, t, **cond)
        inner = self.inner if self.clip_first else self.inner.without_clamp()
        x_hat = inner(x_t, t, **cond)
        moved_x_hat = x_hat + self._find_move(x_t, levels, scale).to(x_hat.dtype)
        return moved_x_hat.clamp(-1, 1) if self.clamps else moved_x_hat

    @property
    def clamps(self) -> bool:
        """Whether moved estimates are clamped to [-1, 1]."""
        return self.inner.clamps and not self.clip_first

    def without_clamp(self) -> Denoiser:
        """Return the same denoiser without its clamp; one that clamps first as it is, as published."""
        return self if self.clip_first else super().without_clamp()

    def without_guidance(self) -> Denoiser:
        """Return the denoiser inside; one that clamps first leaves its clamp in every step, as published."""
        inner = super().without_guidance()
        return ClampedDenoiser(inner) if self.clip_first else inner

    def select(self, items: Tensor) -> Denoiser:
        """Return the denoiser of some states of a stack "(k b)" of the b scans, by their numbers (n,)."""
        count = len(self.scales)
        scales = self.scales if count == 1 else tuple(self.scales[i % count] for i in items.tolist())
        return replace(self, inner=self.inner.select(items), scales=scales)

    def _scale_states(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the scale of each state, (B,), 0 where nothing acts."""
        scans = len(self.scales)
        if len(x_t) % scans:
            raise ValueError(
                f"expected a batch that stacks {scans} scans, one per scale, got {len(x_t)} states"
            )
        scale = torch.tensor(self.scales, dtype=widest_float(x_t.device), device=x_t.device)
        scale = repeat(scale, "b -> (k b)", k=len(x_t) // scans)
        if self.levels is None:
            return scale
        return scale * ((t >= self.levels[0]) & (t <= self.levels[1]))

    def _find_move(self, x_t: Tensor, t: Tensor, scale: Tensor) -> Tensor:
        """Return what is added to the estimates, (B, C, *S); only states with a scale are classified."""
        items = scale.nonzero()[:, 0]
        abar = self.schedule.alpha_bar(t[items])
        weight = scale[items] * self.schedule.size(t[items]) * (1 - abar) / abar.sqrt()
        assert self.classifier is not None  # as there is a scale
        g = find_target_gradient(self.classifier, x_t[items], t[items], self.target)
        check_finite(g, t[items], items)
        moves = torch.zeros_like(x_t, dtype=g.dtype)
        moves[items] = rearrange(weight, "b -> b" + " 1" * (x_t.ndim - 1)).to(g.dtype) * g
        return moves


def _list_scales(scale: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(s) for s in (scale if isinstance(scale, Sequence) else [scale]))


def _check_options(scale: float | Sequence[float], target: int, levels: Sequence[int] | None) -> None:
    scales = _list_scales(scale)
    if not scales or any(not math.isfinite(s) or s < 0 for s in scales):
        raise ValueError(f"expected a scale that is finite and at least 0, or one for each scan, got {scale}")
    if target < 0:
        raise ValueError(f"expected a target class of at least 0, got {target}")
    if levels is not None and (len(levels) != 2 or not 1 <= levels[0] <= levels[1]):
        raise ValueError(f"expected levels as lowest and highest, from 1 on, got {levels}")
