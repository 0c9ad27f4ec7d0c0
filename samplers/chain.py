"""Partial diffusion: drown the lesion in noise, then walk all the way back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import as_level, check_call, level_option, levels_down, noise_to_level
from diffad.step import DDIM, DDPM, Cold, EulerFlow
from diffad.types import Generators, Reconstruction, StepRecord

STARTS = ("noise", "scan")


@SAMPLERS.register("chain")
class Chain:
    r"""Noises an image to a level in one jump and comes back step by step.

    .. math:: x_\lambda = \sqrt{\bar\alpha_\lambda} x + \sqrt{1 - \bar\alpha_\lambda} z, \quad
              x_\lambda \to x_{t_1} \to \dots \to x_0

    The way back draws its noise from the same generator as the jump: the chain is exact for noise of any
    covariance, but only if both share it.

    Args:
        level: Level :math:`\lambda` of the jump, in 1..T.
        steps: Moves on the way back, evenly spaced; one per level when absent.
        step: "ddpm", "ddim", "euler_flow" for networks of flows, or "cold" for those of cold diffusion.
        eta: Share of fresh noise of a "ddim" step, in [0, 1].
        variance: "fixed_small" or "fixed_large", of a "ddpm" step.
        start: "noise" jumps; "scan" takes the scan itself for the state at the level, as networks do that
            learned to undo damage instead of noise.

    Raises:
        TypeError: If the level or the number of moves is no integer.
        ValueError: If an option is out of range or belongs to the other step.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3; from the scan itself REFLECT (Beizaee et al., 2025).
    """

    def __init__(
        self,
        level: int = 250,
        steps: int | None = None,
        step: str = "ddpm",
        eta: float = 0.0,
        variance: str = "fixed_small",
        start: str = "noise",
    ) -> None:
        if start not in STARTS:
            raise ValueError(f"start must be one of {STARTS}, got {start!r}")
        self.level = level_option("level", level)
        self.steps = None if steps is None else level_option("steps", steps)
        self.step = step
        self.eta = eta
        self.variance = variance
        self.start = start
        self._levels = levels_down(self.level, self.steps)
        self._move = build_step(step, eta, variance)

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
        x_t = x
        if self.start == "noise":
            x_t = noise_to_level(x, self.level, denoiser, noise, generator)
        for t, s in pairwise(self._levels):
            x_hat = denoiser(x_t, as_level(t, x))
            z = self._noise_of_move(x_t, t, s, noise, generator)
            x_s = self._move(x_t, x_hat, t, s, denoiser.schedule, z)
            if on_step is not None:
                on_step(StepRecord(t, s, x_t, x_hat, x_s))
            x_t = x_s
        return Reconstruction(x_t, nfe=len(self._levels) - 1)

    def _noise_of_move(
        self, x_t: Tensor, t: int, s: int, noise: NoiseGenerator, generator: Generators
    ) -> Tensor:
        """Draw noise where the move uses it: fields of structured noise are dear."""
        if not self._move.draws(s):
            return torch.zeros_like(x_t)
        return noise(x_t, as_level(t, x_t), generator=generator)


def build_step(step: str, eta: float, variance: str) -> DDIM | DDPM | EulerFlow | Cold:
    """Build a step and refuse options of the other one, which would be ignored in silence.

    Args:
        step: "ddpm", "ddim", "euler_flow" or "cold".
        eta: Share of fresh noise of a "ddim" step, in [0, 1].
        variance: "fixed_small" or "fixed_large", of a "ddpm" step.

    Raises:
        ValueError: If an option is out of range or belongs to the other step.
    """
    if step in ("euler_flow", "cold"):
        if eta or variance != "fixed_small":
            raise ValueError(f"step {step!r} has no options, got eta {eta} and variance {variance!r}")
        return Cold() if step == "cold" else EulerFlow()
    if step == "ddim":
        if variance != "fixed_small":
            raise ValueError(f"variance belongs to step 'ddpm', got {variance!r} with step 'ddim'")
        return DDIM(eta)
    if step == "ddpm":
        if eta:
            raise ValueError(f"eta belongs to step 'ddim', got {eta} with step 'ddpm'")
        return DDPM(variance)
    raise ValueError(f"step must be 'ddpm', 'ddim', 'euler_flow' or 'cold', got {step!r}")
