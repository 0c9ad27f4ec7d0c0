"""Denoisers around a denoiser: whatever they do not change is that of the one inside."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from einops import repeat
from torch import Tensor

from diffad.denoise.plain import as_denoiser
from diffad.protocols import Denoiser
from diffad.schedule import Schedule


@dataclass(frozen=True, eq=False)
class DenoiserWrapper(Denoiser):
    """A denoiser that is the one inside in all that its class does not change.

    Args:
        inner: The one inside.
    """

    inner: Denoiser

    def __post_init__(self) -> None:
        object.__setattr__(self, "inner", as_denoiser(self.inner))

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        return self.inner.schedule

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        return self.inner(x_t, t, **cond)

    def estimate(self, x_t: Tensor, t: Tensor, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """Return what ``__call__`` does, and the anomalies that the one inside marks in the same state."""
        if type(self).__call__ is DenoiserWrapper.__call__:
            return self.inner.estimate(x_t, t, **cond)
        return self(x_t, t, **cond), None

    @property
    def clamps(self) -> bool:
        """Whether estimates are clamped to [-1, 1]."""
        return self.inner.clamps

    @property
    def prediction_type(self) -> str | None:
        """What the network predicts; none where that is unknown."""
        return self.inner.prediction_type

    @property
    def null_label(self) -> int | None:
        """Label of no class; none where the network takes no labels."""
        return self.inner.null_label

    @property
    def takes_place(self) -> bool:
        """Whether it may be told the place of a slice in the brain, as ``place`` (B, 2)."""
        return self.inner.takes_place

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own the network is shown."""
        return self.inner.takes_neighbours

    @property
    def takes_whole(self) -> bool:
        """Whether it is shown the image noised everywhere beside its state."""
        return self.inner.takes_whole

    def wrap(self, inner: Denoiser) -> Self:
        """Return the same wrapper around another denoiser; itself around its own."""
        if inner is self.inner:
            return self
        wrapper = copy.copy(self)
        object.__setattr__(wrapper, "inner", as_denoiser(inner))
        return wrapper

    def without_clamp(self) -> Denoiser:
        """Return the same denoiser without its clamp to [-1, 1]; itself where it has none."""
        return self.wrap(self.inner.without_clamp())

    def without_guidance(self) -> Denoiser:
        """Return the same denoiser without what steers it inside; itself where nothing does."""
        return self.wrap(self.inner.without_guidance())

    def select(self, items: Tensor) -> Denoiser:
        """Return the denoiser of some states of its batch, by their numbers (n,)."""
        return self.wrap(self.inner.select(items))

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what must be known of ``image`` (B, C, *S) in [0, 1]."""
        return self.inner.conditions(image, mask)

    def reference(self, x: Tensor) -> Tensor:
        """Return the images that conditions are made of, for all slices ``x`` (N, C, *S) of a scan."""
        return self.inner.reference(x)


class GuidedDenoiser(DenoiserWrapper):
    """A denoiser whose estimates are steered: an image is encoded by the one inside."""

    def without_guidance(self) -> Denoiser:
        """Return the denoiser inside, without what steers it either."""
        return self.inner.without_guidance()


class ClampedDenoiser(DenoiserWrapper):
    """A denoiser that keeps its clamp, for methods that were published with it in every step."""

    def without_clamp(self) -> Denoiser:
        """Return the denoiser as it is."""
        return self


@dataclass(frozen=True, eq=False)
class ConditionedDenoiser(DenoiserWrapper):
    """A denoiser together with what it must know of one batch of scans.

    Args:
        inner: The denoiser.
        cond: Conditions by name, one row for each of the b scans.
    """

    cond: Mapping[str, Tensor]

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Denoise a stack "(k b)" of k states of each scan, (k b, C, *S), at levels () or (k b,)."""
        rows = {name: _repeat_rows(value, len(x_t)) for name, value in self.cond.items()}
        return self.inner(x_t, t, **rows, **cond)

    def estimate(self, x_t: Tensor, t: Tensor, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """Denoise a stack "(k b)", and return what is marked in it."""
        rows = {name: _repeat_rows(value, len(x_t)) for name, value in self.cond.items()}
        return self.inner.estimate(x_t, t, **rows, **cond)

    def select(self, items: Tensor) -> Denoiser:
        """Return the denoiser of some states of a stack "(k b)" of the b scans, by their numbers (n,)."""
        rows = {k: value[(items % len(value)).to(value.device)] for k, value in self.cond.items()}
        return ConditionedDenoiser(self.inner.select(items), rows)


def _repeat_rows(value: Tensor, length: int) -> Tensor:
    if length % len(value):
        raise ValueError(f"expected a batch that stacks {len(value)} scans k times, got {length} states")
    return repeat(value, "b ... -> (k b) ...", k=length // len(value))


def bind(denoiser: Denoiser, cond: Mapping[str, Tensor]) -> Denoiser:
    """Tie conditions to a denoiser for one run, so that samplers need not know of them."""
    return ConditionedDenoiser(denoiser, cond) if cond else denoiser
