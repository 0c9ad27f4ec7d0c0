"""Ensembles: several reconstructions of one scan, their mean, and where they disagree."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from diffad.capabilities import restrict_to_region
from diffad.protocols import Denoiser, NoiseGenerator, Sampler
from diffad.registry import SAMPLERS
from diffad.samplers.base import check_call, level_option
from diffad.samplers.examples import make_example
from diffad.samplers.moments import RunningMoments
from diffad.samplers.streams import SeedStreams
from diffad.schedule import Schedule
from diffad.types import Example, Generators, Reconstruction, StepRecord

Part = Mapping[str, Any] | Sampler
OnStep = Callable[[StepRecord], None]


@SAMPLERS.register("ensemble")
class Ensemble:
    r"""Averages the reconstructions that samplers make from several seeds, and says how much they differ.

    .. math:: \bar x = \frac{1}{N K} \sum_{n=1}^{N} \sum_{k=1}^{K} x_{nk}, \quad
              s^2 = \frac{1}{N K - 1} \sum_{n, k} (x_{nk} - \bar x)^2

    All members of a sampler share its batches, ordered "(k b)". The noise of member k of sampler n follows
    from one number of the item, n and k: more members leave the first ones as they were.

    Args:
        members: Seeds :math:`K` of each sampler.
        inner: The sampler, as a mapping of its ``name`` and options; a "chain" if there is none.
        samplers: Several samplers instead, :math:`N` mappings, such as one chain at different levels.

    Raises:
        TypeError: If the number of members is no integer.
        ValueError: If it is below 1, there is no sampler, one has no name, or both options are given.

    Reference:
        Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles (Lakshminarayanan et al.,
        2017), with seeds for networks.
    """

    def __init__(
        self, members: int = 4, inner: Part | None = None, samplers: Sequence[Part] | None = None
    ) -> None:
        if inner is not None and samplers is not None:
            raise ValueError("expected inner or samplers, got both")
        self.members = level_option("members", members)
        self.inner, self.samplers = inner, samplers
        self._parts = _build_samplers([inner or {"name": "chain"}] if samplers is None else samplers)

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in [-1, 1] with all members; ``mask`` (B, 1, *S) goes to the samplers."""
        check_call(x, denoiser, 1, generator)
        streams, reconstructions, nfe = SeedStreams.draw(generator, len(x)), RunningMoments(), 0
        stack, masks = _stack(x, self.members), None if mask is None else _stack(mask, self.members)
        watch = None if on_step is None else _report_members(on_step, len(x))
        maps: list[Tensor | None] = []
        references: list[Tensor | None] = []
        for n, part in enumerate(self._parts):
            generators = [g for k in range(self.members) for g in streams.make_generators(n, k)]
            result = part(stack, denoiser, noise, generator=generators, mask=masks, on_step=watch)
            nfe += self.members * result.nfe
            for reconstruction in _unstack(result.image, len(x)):
                reconstructions.add(reconstruction)
            maps.append(_average_members(result.map, len(x)))
            references.append(_average_members(result.reference, len(x)))
        anomaly_map, reference = _average_samplers(maps), _average_samplers(references)
        return Reconstruction(
            reconstructions.mean, nfe, std=reconstructions.std, map=anomaly_map, reference=reference
        )

    @property
    def children(self) -> Mapping[str, Sampler | Sequence[Sampler]]:
        """The sampler, or the samplers."""
        return {"inner": self._parts[0]} if self.samplers is None else {"samplers": self._parts}

    def restrict_children(self, region: Tensor) -> Ensemble:
        """Return the ensemble of samplers that change only what is in ``region``, (B, 1, *S) in [0, 1].

        Raises:
            ValueError: If one of them changes the whole image.
        """
        ensemble = copy.copy(self)
        members = _stack(region, self.members)
        ensemble._parts = [restrict_to_region(part, members) for part in self._parts]
        return ensemble

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Sequence[torch.Generator],
    ) -> Example:
        """Show the network in training what the first sampler shows it, or whole noised images.

        Args:
            x: Clean images in [-1, 1], (B, C, *S).
            mask: Brain masks, (B, 1, *S).
            t: Levels, (B,).
            noise: Unit noise.
            schedule: Amplitudes by level.
            generator: One for each item.
        """
        return make_example(self._parts[0], x, mask, t, noise, schedule, generator)


def _build_samplers(samplers: Sequence[Part]) -> list[Sampler]:
    """Build samplers from mappings of ``name`` and options; ready ones pass."""
    if not samplers:
        raise ValueError("expected at least one sampler, got none")
    return [SAMPLERS.ready(part) for part in samplers]


def _stack(x: Tensor, members: int) -> Tensor:
    return repeat(x, "b ... -> (k b) ...", k=members)


def _unstack(x: Tensor, batch: int) -> Iterator[Tensor]:
    yield from rearrange(x, "(k b) ... -> k b ...", b=batch)


def _average_members(values: Tensor | None, batch: int) -> Tensor | None:
    """Average what the members of one sampler made beside their reconstructions, (k b, ...) to (b, ...)."""
    if values is None:
        return None
    moments = RunningMoments()
    for value in _unstack(values, batch):
        moments.add(value)
    return moments.mean


def _average_samplers(values: Sequence[Tensor | None]) -> Tensor | None:
    """Average over the samplers what all of them made, or return none."""
    moments = RunningMoments()
    for value in values:
        if value is None:
            return None
        moments.add(value)
    return moments.mean


def _report_members(on_step: OnStep, batch: int) -> OnStep:
    """Report a move of all members as one move of each, in the shape of the image."""

    def watch(record: StepRecord) -> None:
        states = [record.x_t, record.x_hat, record.x_s, *([] if record.map is None else [record.map])]
        for member in zip(*(_unstack(state, batch) for state in states), strict=True):
            on_step(StepRecord(record.t, record.s, *member))

    return watch
