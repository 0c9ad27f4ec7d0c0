"""Looks at the scan itself, told of one severity of damage after the other: cold diffusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import as_level, check_call, estimate_singly, estimate_stack, levels_option
from diffad.samplers.moments import RunningMoments
from diffad.step import Cold
from diffad.types import Generators, Reconstruction, StepRecord


@SAMPLERS.register("severities")
class Severities:
    r"""Tells a network of cold diffusion that the scan is damaged so much, or less, and averages its answers.

    .. math:: \bar x = \frac{1}{K} \sum_k \hat x(x, t_k) \quad \text{or} \quad
              x_{t_{k+1}} = \hat x + \frac{a_{t_{k+1}}}{a_{t_k}} (x_{t_k} - \hat x), \; x_{t_1} = x

    Nothing is drawn. The score "temporal" with the arithmetic mean averages the residuals of its records.

    Args:
        levels: Levels :math:`t_1 \dots t_K`, each in 1..T, of which T is all of the damage; one
            may be bare.
        chain: Undo the damage step by step, from the first level to the last and to level 0, and take where
            that leads; otherwise every look is at the scan itself, and their mean is taken.
        stack: Evaluate all looks in one batch, ordered "(level b)"; off takes one after the other, in the
            memory of one. A chain cannot.
        clip: Clamp the estimates to [-1, 1]; off leaves them as the network gives them.

    Raises:
        TypeError: If a level is no integer.
        ValueError: If there is no level, one is below 1, or those of a chain do not fall; on call, if the
            network was trained on something else than severities.

    Reference:
        DISYRE (Naval Marimont et al., 2024), "mean single step" and "multi-step restoration".
    """

    start = "scan"

    def __init__(
        self,
        levels: Sequence[int] | int = (100, 75, 50, 25),
        chain: bool = False,
        stack: bool = True,
        clip: bool = True,
    ) -> None:
        self.levels = levels_option(levels)
        if chain and any(t <= s for t, s in pairwise(self.levels)):
            raise ValueError(f"levels of a chain must fall, got {list(self.levels)}")
        self.chain, self.stack, self.clip = chain, stack, clip

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
        """Restore ``x`` (B, C, *S) in [-1, 1]; neither ``noise`` nor ``mask`` plays a part."""
        check_call(x, denoiser, max(self.levels), generator)
        denoiser = as_denoiser(denoiser) if self.clip else as_denoiser(denoiser).without_clamp()
        if denoiser.prediction_type not in (None, "cold"):
            raise ValueError(
                "severities expected a network of cold diffusion (prediction_type 'cold'), got one of "
                f"prediction_type {denoiser.prediction_type!r}"
            )
        estimates, marks = RunningMoments(), RunningMoments()
        for record in self._undo(x, denoiser) if self.chain else self._look(x, denoiser):
            estimates.add(record.x_hat)
            if record.map is not None:
                marks.add(record.map)
            if on_step is not None:
                on_step(record)
        nfe, mark_map = len(self.levels), marks.mean if marks.count else None
        if self.chain:
            return Reconstruction(record.x_s, nfe=nfe, map=mark_map)
        return Reconstruction(estimates.mean, nfe=nfe, std=estimates.std, map=mark_map)

    def _look(self, x: Tensor, denoiser: Denoiser) -> Iterator[StepRecord]:
        """Look at the scan once at each level."""
        estimate = estimate_stack if self.stack else estimate_singly
        yield from estimate(((t, x) for t in self.levels), denoiser)

    def _undo(self, x: Tensor, denoiser: Denoiser) -> Iterator[StepRecord]:
        """Go from each level to the next, and from the last one to level 0."""
        x_t, move = x, Cold()
        for t, s in pairwise((*self.levels, 0)):
            x_hat, mark = denoiser.estimate(x_t, as_level(t, x))
            x_s = move(x_t, x_hat, t, s, denoiser.schedule, x_t)
            yield StepRecord(t, s, x_t, x_hat, x_s, mark)
            x_t = x_s
