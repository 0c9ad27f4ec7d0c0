"""RePaint: a region is sampled given the rest of the image, with jumps back up that let the two agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from diffad.protocols import Denoiser, NoiseGenerator
from diffad.samplers.base import as_level, level_option, levels_down, noise_to_level
from diffad.step import DDPM, renoise
from diffad.types import Generators, StepRecord


@dataclass(frozen=True)
class Moves:
    """The way down: which moves are made, and how often.

    Args:
        levels: Levels that are visited, from the highest to 0.
        repeats: Times that each move is made, but for the last.
        reference: Jump back, and end, as published.
    """

    levels: tuple[int, ...]
    repeats: int
    reference: bool

    def __iter__(self) -> Iterator[tuple[int, int, bool]]:
        """Yield levels t and s of each move, and whether a jump from s to t comes before."""
        for t, s in pairwise(self.levels):
            if s:
                yield from ((t, s, u > 0) for u in range(self.repeats))
            elif not self.reference:
                # without noise at level 0 there is nothing to jump from
                yield t, s, False


def list_moves(level: int, steps: int | None, repeats: int, reference: bool) -> Moves:
    """List the moves down from ``level``.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If one is out of range, or the published way is asked for in strides.
    """
    level_option("level", level)
    if steps is not None and reference:
        raise ValueError(f"reference makes one move per level, got steps={level_option('steps', steps)}")
    levels = levels_down(level, None if steps is None else level_option("steps", steps))
    return Moves(tuple(levels), level_option("repeats", repeats), reference)


@dataclass(frozen=True)
class RePaint:
    r"""Samples the inside of a mask from the model, given the image outside.

    .. math:: z_s = m \, y_s + (1 - m) \, k_s, \quad y_s \sim p(y_s | z_t), \quad
              k_s = \sqrt{\bar\alpha_s} x + \sqrt{1 - \bar\alpha_s} n

    and between two moves from t to s, :math:`z_t \sim q(z_t | z_s)`. A voxel is either known or not, so that
    one field of noise serves both.

    Args:
        denoiser: Denoiser.
        noise: Noise generator.
        generator: One, or one per item.
        moves: The way down.

    Reference:
        RePaint (Lugmayr et al., 2022), eq. 8 and algorithm 1, whose jump back has the index of
        :math:`\beta` one level too low; :math:`\bar\alpha_t / \bar\alpha_s` is right.
    """

    denoiser: Denoiser
    noise: NoiseGenerator
    generator: Generators
    moves: Moves

    @property
    def nfe(self) -> int:
        """Network evaluations of each item."""
        return sum(1 for _ in self.moves)

    def __call__(
        self, x: Tensor, start: Tensor, m: Tensor, on_step: Callable[[StepRecord], None] | None = None
    ) -> Tensor:
        """Sample ``x`` (B, C, *S) anew where ``m`` (B, 1, *S), bool, from clean ``start`` (B, C, *S)."""
        z = noise_to_level(start, self.moves.levels[0], self.denoiser, self.noise, self.generator)
        for t, s, jumps in self.moves:
            z_t = self._jump_back(z, s, t) if jumps else z
            x_hat = self.denoiser(z_t, as_level(t, x))
            z = self._move_down(x, z_t, x_hat, m, t, s)
            if on_step is not None:
                on_step(StepRecord(t, s, z_t, x_hat, z))
        return torch.where(m, z, x)

    def _move_down(self, x: Tensor, z_t: Tensor, x_hat: Tensor, m: Tensor, t: int, s: int) -> Tensor:
        schedule = self.denoiser.schedule
        n = self._draw_noise(x, t) if s else torch.zeros_like(x)
        y = DDPM()(z_t, x_hat, t, s, schedule, n)
        return torch.where(m, y, schedule.add_noise(x, n, s) if s else x)

    def _jump_back(self, z_s: Tensor, s: int, t: int) -> Tensor:
        schedule, n = self.denoiser.schedule, self._draw_noise(z_s, t)
        if self.moves.reference:
            return renoise(z_s, s - 1, s, schedule, n)
        return renoise(z_s, s, t, schedule, n)

    def _draw_noise(self, like: Tensor, t: int) -> Tensor:
        return self.noise(like, as_level(t, like), generator=self.generator)
