"""The seams between the parts: whatever has these signatures can be plugged in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from diffad.schedule import Schedule
from diffad.types import Example, Generators, Reconstruction, StepRecord


@runtime_checkable
class NoiseGenerator(Protocol):
    """Draws noise shaped like ``like`` (B, C, *S); item i depends on generator i only."""

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Return noise (B, C, *S) for levels ``t`` () or (B,)."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """Estimates the clean image from a noisy one, whatever its network predicts."""

    @property
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""
        ...

    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""
        ...


@runtime_checkable
class Guidance(Protocol):
    """Wraps a denoiser into one that is steered."""

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """Return the guided denoiser."""
        ...


@runtime_checkable
class Step(Protocol):
    """One pure move from level ``t`` to level ``s``; ``z`` (B, C, *S) is its only randomness."""

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S)."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Turns an image into its pseudo-healthy twin."""

    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in model range [-1, 1]; ``mask`` is (B, 1, *S)."""
        ...


@runtime_checkable
class Trains(Protocol):
    """A sampler that says what its network must be trained on; without this, whole images are noised."""

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Generators,
    ) -> Example:
        """Make training examples of clean ``x`` (B, C, *S) in [-1, 1] at levels ``t`` (B,)."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A network, or denoiser, that must know more of a scan than its noisy state."""

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return, once for a batch, what each call gets by name; ``image`` (B, C, *S) is in [0, 1]."""
        ...


@runtime_checkable
class AnomalyScore(Protocol):
    """Compares a scan with its twin, both in [0, 1]."""

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the anomaly map (B, 1, *S)."""
        ...


@runtime_checkable
class Saliency(Protocol):
    """Says what of a scan looks suspicious before anything is rebuilt."""

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map ``x`` (B, C, *S) in [0, 1] to a saliency (B, C, *S) of at least 0; it has no scale."""
        ...


@runtime_checkable
class ScoreRun(Protocol):
    """The state of a score during one run of a sampler."""

    def record(self, step: StepRecord) -> None:
        """Take in one move of the sampler."""
        ...

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the anomaly map (B, 1, *S) of ``x`` (B, C, *S), which is in [0, 1]."""
        ...


@runtime_checkable
class StreamingScore(AnomalyScore, Protocol):
    """A score made of what a sampler meets on its way, of which nothing is kept but the sum."""

    def begin(self, x: Tensor, schedule: Schedule) -> ScoreRun:
        """Return the state of one run on ``x`` (B, C, *S) in [-1, 1]."""
        ...
