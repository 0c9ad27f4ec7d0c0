"""A chain from the scan itself that moves only what the network takes for noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from diffad.data.corruptions.cell_mask import CellMask
from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import as_level, check_call, level_option, levels_down
from diffad.schedule import Schedule
from diffad.step import DDIM
from diffad.types import Example, Generators, Reconstruction, StepRecord


@SAMPLERS.register("gated")
class Gated:
    r"""Takes the scan for a state at every level in turn, and moves what the network marks as noised.

    .. math:: x_s = \begin{cases} \text{ddim}(x_t, \hat x_t) & m_t > \gamma \\ x_t & \text{else} \end{cases},
              \quad x_\lambda = x

    Nothing is noised: the network, trained on images of which some cells are noise, is to take lesions for
    such. The share of the levels at which a voxel was marked is the map, which score "likelihood" takes.

    Args:
        level: First level :math:`\lambda`, in 1..T.
        steps: Moves, evenly spaced; one per level when absent.
        levels: The levels that are visited, falling, in the place of both: 9, 7, 5, 3, 1 are the published
            five of ten.
        eta: Share of fresh noise of the moves, in [0, 1].
        gate: Mark :math:`\gamma` beyond which a voxel is moved, in [0, 1].
        sticky: Go on moving a voxel that was moved; published is not to.
        sides: Sides of the cells that are noised in training, in pixels of what the network sees.
        chances: Probability of each side.
        ratio: Largest share of cells that are noised in training.
        cover: Least share of brain in a block of a noised cell.
        block: Side of these blocks, in pixels of what the network sees.

    Raises:
        TypeError: If a level or the number of moves is no integer.
        ValueError: If an option is out of range, or, on call, if the network marks nothing.

    Reference:
        MAD-AD: Masked Diffusion for Unsupervised Brain Anomaly Detection (Beizaee et al., IPMI 2025).
    """

    needs_marks = True

    def __init__(
        self,
        level: int = 10,
        steps: int | None = None,
        levels: Sequence[int] | None = None,
        eta: float = 0.5,
        gate: float = 0.5,
        sticky: bool = False,
        sides: Sequence[int] = (1, 2, 4, 8),
        chances: Sequence[float] = (0.2, 0.3, 0.3, 0.2),
        ratio: float = 0.4,
        cover: float = 0.9,
        block: int = 2,
    ) -> None:
        if not 0 <= gate <= 1:
            raise ValueError(f"expected a gate in [0, 1], got {gate}")
        self.level = level_option("level", level)
        self.steps = None if steps is None else level_option("steps", steps)
        self.levels, self.eta, self.gate, self.sticky = levels, eta, gate, sticky
        self.sides, self.chances, self.ratio, self.cover, self.block = sides, chances, ratio, cover, block
        self._levels = levels_down(self.level, self.steps) if levels is None else _check_levels(levels)
        self._move = DDIM(eta)
        self._mask = CellMask(sides, chances, ratio, cover, block)

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
        """Restore ``x`` (B, C, *S) in [-1, 1]; what is moved is up to the network, whatever the ``mask``."""
        check_call(x, denoiser, self._levels[0], generator)
        x_t, shares = x.clone(), torch.zeros_like(x[:, :1])
        region = shares > 0
        for t, s in pairwise(self._levels):
            x_hat, marks = as_denoiser(denoiser).estimate(x_t, as_level(t, x))
            if marks is None:
                raise ValueError("gated expected a network that marks noise (model.marks=true), found none")
            open_gate = marks > self.gate
            shares += open_gate / (len(self._levels) - 1)
            region = region | open_gate if self.sticky else open_gate
            draws = self._move.draws(s)
            z = noise(x_t, as_level(t, x), generator=generator) if draws else torch.zeros_like(x_t)
            x_s = torch.where(region, self._move(x_t, x_hat, t, s, denoiser.schedule, z), x_t)
            if on_step is not None:
                on_step(StepRecord(t, s, x_t, x_hat, x_s, marks))
            x_t = x_s
        return Reconstruction(x_t, nfe=len(self._levels) - 1, map=shares)

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Sequence[torch.Generator],
    ) -> Example:
        """Show the network images of which some cells inside the brain are noised; all else is clean.

        Args:
            x: Clean images in [-1, 1], (B, C, *S).
            mask: Share of brain in each pixel, (B, 1, *S).
            t: Levels, (B,).
            noise: Unit noise.
            schedule: Amplitudes by level.
            generator: One for each item.
        """
        noise_mask = self._mask.draw(mask.to(x), generator)
        z = noise(x, t, generator=generator)
        a, s = schedule.amplitudes(t, x)
        x_t = torch.where(noise_mask > 0, (a * x + s * z).to(x), x)
        # the noise by which what is seen follows from what is to be found, whatever the network predicts
        return Example(x, torch.where(noise_mask > 0, z, ((1 - a) / s * x).to(x)), x_t, damage=noise_mask)


def _check_levels(levels: Sequence[int]) -> list[int]:
    values = [level_option("levels", level) for level in levels]
    if not values or values != sorted(set(values), reverse=True):
        raise ValueError(f"expected levels that fall, each once, got {list(levels)}")
    return [*values, 0]
