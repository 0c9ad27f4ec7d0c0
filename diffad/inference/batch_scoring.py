"""One batch of images to its maps: every part of a method, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import begin_run, count_evaluations, restrict_to_region, wants_records
from diffad.data.space import Space, to_model
from diffad.data.window import Corner, Window
from diffad.denoise import as_denoiser, bind
from diffad.inference.image_batch import ImageBatch
from diffad.inference.postprocess import Postprocess
from diffad.inference.stack import BatchResult, to_public_range
from diffad.models.coding import PIXELS, Coding
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.samplers.coded import CodedSampler
from diffad.types import generator_for

BESIDE = 1
"""What the noise of the neighbours of a slice follows from, next to the seed and its position."""


@dataclass(frozen=True)
class BatchScorer:
    """Rebuilds images that are in the network's space, as many as fit, and scores the difference.

    Args:
        denoiser: Guided denoiser.
        noise: Noise generator.
        sampler: Sampler.
        score: Anomaly score.
        post: Post-processing.
        space: The network's space.
        seed: Seed of all noise.
        device: Where the network lives.
        autocast: Narrow type the network runs in, or none.
        coding: What the denoiser sees in the place of images.
    """

    denoiser: Denoiser
    noise: NoiseGenerator
    sampler: Sampler
    score: AnomalyScore
    post: Postprocess
    space: Space
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    autocast: torch.dtype | None = None
    coding: Coding = PIXELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "denoiser", as_denoiser(self.denoiser))

    @property
    def joins_slices(self) -> bool:
        """Whether maps are smoothed across the slices of a scan, once all of them are there."""
        return self.post.joins_slices and not self.space.whole

    def _score_windows(
        self, batch: ImageBatch, window: Window | None, corners: Sequence[Corner]
    ) -> BatchResult:
        """Score a batch in the window at ``corners``, or whole where there is none."""
        if window is None:
            return self._score_batch(batch)
        return self._score_batch(batch.crop(window, corners)).paste(batch.image.shape[2:], corners)

    def _score_batch(self, batch: ImageBatch) -> BatchResult:
        batch = batch.to(self.device)
        x, brain = batch.image, batch.brain
        generators = [generator_for(self.seed, key) for key in batch.keys]
        run = begin_run(self.score, to_model(x), self.denoiser.schedule)
        narrow = torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)
        with torch.no_grad(), narrow:
            noisy = self._noise_neighbours(batch)
            coding = self.coding.for_batch()
            denoiser = self._bind_conditions(coding, batch, noisy)
            steps: dict[str, Any] = {"mask": brain, "on_step": run.record if wants_records(run) else None}
            sampler = self._restrict_sampler(coding, batch.region)
            output = sampler(to_model(x), denoiser, self.noise, generator=generators, **steps)
        public = to_public_range(output, brain)
        raw = run.map(x, public, brain)
        spread = None if public.std is None else public.std.cpu()
        anomaly = raw if self.joins_slices else self.post.smooth(raw, brain)
        nfe = output.nfe + count_evaluations(self.score)
        return BatchResult(anomaly.cpu(), public.image.cpu(), nfe, spread)

    def _restrict_sampler(self, coding: Coding, region: Tensor | None) -> Sampler:
        if coding.is_coded:
            return CodedSampler(self.sampler, coding, region)
        if region is None:
            return self.sampler
        return restrict_to_region(self.sampler, region)

    def _bind_conditions(self, coding: Coding, batch: ImageBatch, noisy: dict[str, Tensor]) -> Denoiser:
        """Bind what the denoiser must know of this batch, computed once for all levels."""
        place = {"place": batch.where} if self.denoiser.takes_place else {}
        cond = self.denoiser.conditions(coding.condition(batch.cond_image), coding.shrink(batch.brain))
        return bind(self.denoiser, {**cond, **place, **noisy})

    def _noise_neighbours(self, batch: ImageBatch) -> dict[str, Tensor]:
        """Return neighbours (B, 2 N C, *S) in the range of the model, and the noise that is laid over them.

        What they show of an anomaly is then as noisy as the slice itself; clean, it could be copied.
        """
        if not self.denoiser.takes_neighbours:
            return {}
        generators = [generator_for(self.seed, key, BESIDE) for key in batch.keys]
        clean = to_model(batch.neighbours)
        return {"neighbours": clean, "neighbour_noise": self.noise(clean, generator=generators)}
