"""DPM-Solver++: back from the noise in a few evaluations, of which each remembers the one before."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import as_level, check_call, level_option, levels_down, noise_to_level
from diffad.schedule import Schedule
from diffad.types import Generators, Reconstruction, StepRecord

SPACINGS = ("snr", "level")


@SAMPLERS.register("dpm_solver")
class DPMSolver:
    r"""Noises an image to a level in one jump and follows the probability flow back, without noise.

    .. math:: \frac{x_s}{\sigma_s} = \frac{x_t}{\sigma_t}
              + \int_{\lambda_t}^{\lambda_s} e^\lambda \hat x(x_\lambda, \lambda) \, d\lambda,
              \quad \lambda_t = \log \frac{\sqrt{\bar\alpha_t}}{\sigma_t}

    with :math:`\hat x` a polynomial through the last estimates; the move to level 0 returns the last one.

    Args:
        level: Level of the jump, in 1..T.
        steps: Evaluations, in 1..``level``.
        order: Estimates the polynomial goes through, 1 (DDIM) to 3.
        spacing: Levels even in the logarithm of the signal-to-noise ratio, "snr", as far as there are
            levels, or even in "level".

    Raises:
        TypeError: If the level, the number of evaluations or the order is no integer.
        ValueError: If an option is out of range.

    Reference:
        DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (Lu et al., 2022),
        eq. 9 and algorithm 2.
    """

    def __init__(self, level: int = 250, steps: int = 10, order: int = 2, spacing: str = "snr") -> None:
        self.level, self.steps = level_option("level", level), level_option("steps", steps)
        self.order, self.spacing = level_option("order", order), spacing
        levels_down(level, steps)  # refuses more evaluations than levels
        if order > 3:
            raise ValueError(f"order must be in 1..3, got {order}")
        if spacing not in SPACINGS:
            raise ValueError(f"spacing must be one of {SPACINGS}, got {spacing!r}")

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
        check_call(x, denoiser, self.level, generator)
        levels = self._list_levels(denoiser.schedule)
        solver = _build_solver(denoiser.schedule, levels, self.order)
        x_t = noise_to_level(x, self.level, denoiser, noise, generator)
        for t, s in pairwise(levels):
            x_hat = denoiser(x_t, as_level(t, x))
            size_t, size_s = (float(denoiser.schedule.size(level)) for level in (t, s))
            x_s = size_s * solver.step(x_hat, t - 1, x_t / size_t, return_dict=False)[0]
            if on_step is not None:
                on_step(StepRecord(t, s, x_t, x_hat, x_s))
            x_t = x_s
        return Reconstruction(x_t, nfe=self.steps)

    def _list_levels(self, schedule: Schedule) -> list[int]:
        """List the levels of the descent, the jump's first and 0 last.

        Raises:
            ValueError: If nothing of the scan is left at the first.
        """
        if schedule.alpha_bar(self.level) == 0:
            raise ValueError(f"expected a level below {self.level}, which holds nothing of the scan")
        if self.spacing == "level":
            return levels_down(self.level, self.steps)
        lambdas = schedule.snr(torch.arange(1, self.level + 1)).log()
        even_lambdas = torch.linspace(float(lambdas[-1]), float(lambdas[0]), self.steps, dtype=lambdas.dtype)
        nearest = (lambdas - even_lambdas[:, None]).abs().argmin(1) + 1
        return _separate_levels(nearest.tolist(), self.level)


def _separate_levels(levels: list[int], highest: int) -> list[int]:
    """Move levels that coincide apart, and end at 0."""
    distinct_levels = [0]
    for t in reversed(levels):
        distinct_levels.append(max(t, distinct_levels[-1] + 1))
    return [min(t, highest - k) for k, t in enumerate(reversed(distinct_levels))]


def _build_solver(schedule: Schedule, levels: list[int], order: int) -> Any:
    """Return a scheduler of diffusers that goes down ``levels``; it holds the state of one run."""
    from diffusers import DPMSolverMultistepScheduler

    before, after = schedule.alpha_bar(torch.arange(schedule.num_levels + 1)).unfold(0, 2, 1).unbind(1)
    solver = DPMSolverMultistepScheduler(
        schedule.num_levels,
        trained_betas=(1 - after / before).tolist(),
        solver_order=order,
        prediction_type="sample",
    )
    solver.set_timesteps(timesteps=[t - 1 for t in levels[:-1]])
    solver.set_begin_index(0)
    return solver
