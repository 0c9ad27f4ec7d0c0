"""Single-step estimates: the clean image is estimated from one evaluation at each level, and averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import (
    check_call,
    estimate_singly,
    estimate_stack,
    level_option,
    levels_option,
    noise_to_level,
)
from diffad.samplers.moments import RunningMoments
from diffad.types import Generators, Reconstruction, StepRecord


@SAMPLERS.register("oneshot")
class OneShot:
    r"""Averages single-step estimates of the clean image over levels and noise draws.

    .. math:: \bar x = \frac{1}{K R} \sum_{k=1}^{K} \sum_{r=1}^{R} \hat x(x_{t_k}^{(r)}, t_k)

    Where the network marks anomalies (``marks`` of "unet2d"), the mean of its marks is the map of the
    sampler, which the score "likelihood" takes.

    Args:
        levels: Levels :math:`t_1 \dots t_K`, each in 1..T; a single one may be bare.
        repeats: Noise draws :math:`R` at each level.
        stack: Evaluate all states in one batch, ordered "(level b)"; off takes one after the other, in the
            memory of one.
        clip: Clamp the estimates to [-1, 1]; off leaves them as the network gives them. Their mean is brought
            to the range of the scan either way.

    Raises:
        TypeError: If a level or the number of draws is no integer.
        ValueError: If there is no level, or one is below 1.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), eq. 15, averaged. The levels and the lack
        of a clamp: cDDPM (Behrendt et al., 2025).
    """

    def __init__(
        self,
        levels: Sequence[int] | int = (100,),
        repeats: int = 1,
        stack: bool = True,
        clip: bool = True,
    ) -> None:
        self.levels = levels_option(levels)
        self.repeats = level_option("repeats", repeats)
        self.stack, self.clip = stack, clip

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
        check_call(x, denoiser, max(self.levels), generator)
        denoiser = denoiser if self.clip else as_denoiser(denoiser).without_clamp()
        draws = [t for t in self.levels for _ in range(self.repeats)]
        noised_states = ((t, noise_to_level(x, t, denoiser, noise, generator)) for t in draws)
        estimate = estimate_stack if self.stack else estimate_singly
        estimates, marks = RunningMoments(), RunningMoments()
        for record in estimate(noised_states, denoiser):
            estimates.add(record.x_hat)
            if record.map is not None:
                marks.add(record.map)
            if on_step is not None:
                on_step(record)
        marked = marks.mean if marks.count else None
        return Reconstruction(estimates.mean, nfe=len(draws), std=estimates.std, map=marked)
