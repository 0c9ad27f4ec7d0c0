"""Several moves of a teacher in one look: what a student should say of the state that it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from diffad.protocols import Denoiser
from diffad.schedule import Schedule
from diffad.types import Example


@torch.no_grad()
def walk_down(denoiser: Denoiser, x_t: Tensor, t: Tensor, moves: int) -> Tensor:
    r"""Return where a teacher arrives that walks from each state down to level 0.

    .. math:: t_j = \lceil t (k - j) / k \rceil, \quad j = 0 \dots k

    Args:
        denoiser: The teacher.
        x_t: States, (B, C, *S).
        t: Their levels, (B,), 1 or more.
        moves: Moves k; those between equal levels, below level k, change nothing.

    Reference:
        Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022), algorithm 2,
        with k moves in the place of 2, down to the clean image.
    """
    levels = [-(-t * (moves - j) // moves) for j in range(moves + 1)]
    for level, s in pairwise(levels):
        x_t = move_between(x_t, denoiser(x_t, level), level, s, denoiser.schedule)
    return x_t


@torch.no_grad()
def look_consistently(teacher: Denoiser, student: Denoiser, x_t: Tensor, t: Tensor, gap: int) -> Tensor:
    r"""Return what a student says of the state a move of the teacher lower, (B, C, *S).

    .. math:: \hat x = f_{\bar\theta}(x_s, s), \quad s = \max(t - g, 0), \quad f(x_0, 0) = x_0

    Args:
        teacher: Makes the move.
        student: The student with averaged weights.
        x_t: States, (B, C, *S).
        t: Their levels, (B,), 1 or more.
        gap: Levels g between the two looks.

    Reference:
        Consistency Models (Song et al., 2023), algorithm 2.
    """
    s = (t - gap).clamp(min=0)
    x_s = move_between(x_t, teacher(x_t, t), t, s, teacher.schedule)
    is_clean = (s == 0).reshape(-1, *(1,) * (x_s.ndim - 1))
    return torch.where(is_clean, x_s, student(x_s, s.clamp(min=1)))


def move_between(x_t: Tensor, x_hat: Tensor, t: Tensor, s: Tensor, schedule: Schedule) -> Tensor:
    r"""Move without fresh noise, each item between levels of its own.

    .. math:: x_s = a_s \hat x + \frac{\sigma_s}{\sigma_t} (x_t - a_t \hat x)

    On straight paths it is the step of Euler.

    Args:
        x_t: States, (B, C, *S).
        x_hat: Clean images that are seen in them, (B, C, *S).
        t: Levels, (B,), 1 or more.
        s: Levels that are gone to, (B,).
        schedule: Amplitudes by level.

    Reference:
        Denoising Diffusion Implicit Models (Song et al., 2021), eq. 12 with sigma 0.
    """
    (a_t, sigma_t), (a_s, sigma_s) = schedule.amplitudes(t, x_t), schedule.amplitudes(s, x_t)
    return a_s * x_hat + sigma_s / sigma_t * (x_t - a_t * x_hat)


def ask_for(x: Tensor, example: Example, t: Tensor, schedule: Schedule) -> Example:
    """Ask for ``x`` (B, C, *S) in the states of an example as they are, whatever the network predicts."""
    a, s = schedule.amplitudes(t, x)
    return replace(example, x=x, z=(example.x_t - a * x) / s)


def find_gap(levels: Sequence[int], looks: int) -> int:
    """Return how many levels lie between two looks, where ``looks`` of them span those trained on."""
    return -(-levels[1] // looks)
