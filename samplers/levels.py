"""Single-step estimates at every level of a range, of which scores of transitions are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import check_call, estimate_stack, level_option, noise_to_level
from diffad.samplers.moments import RunningMoments
from diffad.samplers.streams import SeedStreams
from diffad.types import Generators, Reconstruction, StepRecord


@SAMPLERS.register("levels")
class Levels:
    r"""Noises the image anew at every level of a range and estimates the clean image once at each.

    .. math:: x_t = \sqrt{\bar\alpha_t} x + \sqrt{1 - \bar\alpha_t} z_t, \quad
              \bar x = \frac{1}{K} \sum_t \hat x(x_t, t), \quad t = t_0, t_0 + \Delta, \dots, t_1

    The records hold the estimates as the network gives them, not clamped to the range of the model: clamped
    ones say less about the noise it sees. The reconstruction is the mean of the clamped ones. Every level of
    an item has a noise stream of its own, so that a strided run sees the noise of the full one.

    Args:
        first: Lowest level :math:`t_0`, in 1..T.
        last: Highest level :math:`t_1`, in ``first``..T.
        stride: Distance :math:`\Delta` of the levels.
        at_once: Levels in one batch, ordered "(level b)"; memory grows with it, and not with the levels.

    Raises:
        TypeError: If an option is no integer.
        ValueError: If an option is below 1, or the last level is below the first.

    Reference:
        ANDi: Unsupervised Anomaly Detection using Aggregated Normative Diffusion (Frotscher et al., 2023).
    """

    def __init__(self, first: int = 76, last: int = 200, stride: int = 1, at_once: int = 5) -> None:
        self.first, self.last = level_option("first", first), level_option("last", last)
        self.stride, self.at_once = level_option("stride", stride), level_option("at_once", at_once)
        if last < first:
            raise ValueError(f"expected last of at least first = {first}, got {last}")
        self._levels = range(first, last + 1, stride)

    @torch.no_grad()
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
        """Restore ``x`` (B, C, *S) in [-1, 1]; the whole image is renewed, whatever the ``mask``."""
        check_call(x, denoiser, self._levels[-1], generator)
        estimates = RunningMoments()
        for record in self._make_records(x, as_denoiser(denoiser).without_clamp(), noise, generator):
            estimates.add(record.x_hat.clamp(-1, 1))
            if on_step is not None:
                on_step(record)
        return Reconstruction(estimates.mean, nfe=len(self._levels), std=estimates.std)

    def _make_records(
        self, x: Tensor, denoiser: Denoiser, noise: NoiseGenerator, generator: Generators
    ) -> Iterator[StepRecord]:
        streams = SeedStreams.draw(generator, len(x))
        for start in range(0, len(self._levels), self.at_once):
            levels = self._levels[start : start + self.at_once]
            yield from estimate_stack(
                ((t, noise_to_level(x, t, denoiser, noise, streams.make_generators(t))) for t in levels),
                denoiser,
            )
