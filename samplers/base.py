"""What samplers share: the levels they visit, the jump into noise, single-step estimates, checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from einops import rearrange
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.schedule import ColdSchedule
from diffad.types import Generators, StepRecord, generators_for


def level_option(name: str, level: object, least: int = 1) -> int:
    """Return a level, or a count, that is an integer of at least ``least``.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is below ``least``.
    """
    if isinstance(level, bool) or not isinstance(level, int):
        raise TypeError(f"expected an integer for {name}, got {level!r}")
    if level < least:
        raise ValueError(f"{name} must be at least {least}, got {level}")
    return level


def levels_option(levels: Sequence[int] | int) -> tuple[int, ...]:
    """Return levels from a bare one or any sequence, as YAML gives lists.

    Raises:
        TypeError: If they are no integers.
        ValueError: If there are none, or one is below 1.
    """
    if isinstance(levels, str) or not isinstance(levels, int | Sequence):
        raise TypeError(f"expected levels as an integer or a sequence of integers, got {levels!r}")
    checked_levels = (levels,) if isinstance(levels, int) else tuple(levels)
    if not checked_levels:
        raise ValueError("expected at least one level, got none")
    return tuple(level_option("levels", t) for t in checked_levels)


def levels_down(level: int, steps: int | None = None) -> list[int]:
    """List the levels of a descent, ``level`` first and 0 last, evenly spaced and strictly decreasing.

    Args:
        level: Highest level.
        steps: Number of moves; one per level when absent.

    Raises:
        ValueError: If there are more moves than levels.
    """
    steps = level if steps is None else steps
    if not 1 <= steps <= level:
        raise ValueError(f"steps must be in 1..{level} to come down from level {level}, got {steps}")
    return [round(level * k / steps) for k in range(steps, -1, -1)]


def check_call(x: Tensor, denoiser: Denoiser, highest: int, generator: Generators) -> None:
    """Refuse input that no sampler can restore.

    Args:
        x: Image, (B, C, *S), in [-1, 1].
        denoiser: Whose schedule must reach the levels asked for.
        highest: Highest level that will be visited.
        generator: One, or one per item.

    Raises:
        TypeError: If the image is not floating point.
        ValueError: If its shape, the level or the number of generators does not fit.
    """
    if x.ndim not in (4, 5):
        raise ValueError(f"expected x of shape (B, C, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}")
    if not x.numel():
        raise ValueError(f"expected x with items and voxels, got shape {tuple(x.shape)}")
    if not x.is_floating_point():
        raise TypeError(f"expected x of a floating point dtype, got {x.dtype}")
    if highest > denoiser.schedule.num_levels:
        raise ValueError(
            f"expected levels up to {denoiser.schedule.num_levels} of the denoiser, got {highest}"
        )
    generators_for(generator, x.shape[0])


def noise_to_level(
    x: Tensor, t: int, denoiser: Denoiser, noise: NoiseGenerator, generator: Generators
) -> Tensor:
    """Take the clean ``x`` (B, C, *S) to level ``t`` in one jump.

    Raises:
        ValueError: If the levels are severities of damage, which no noise is.
    """
    if isinstance(denoiser.schedule, ColdSchedule):
        raise ValueError(
            "expected a sampler that starts at the scan for a network of cold diffusion, which knows damage "
            "and no noise, got one that adds noise; 'severities' looks at the scan itself"
        )
    z = noise(x, as_level(t, x), generator=generator)
    return denoiser.schedule.add_noise(x, z, t)


def as_level(t: int, like: Tensor) -> Tensor:
    """Return level ``t`` as the () tensor that noises and denoisers take, where ``like`` lives."""
    return torch.as_tensor(t, device=like.device)


def estimate_stack(noised_states: Iterable[tuple[int, Tensor]], denoiser: Denoiser) -> Iterator[StepRecord]:
    """Estimate the clean image from states (B, C, *S) at several levels, in one batch ordered "(level b)"."""
    levels, states = zip(*noised_states, strict=True)
    batch = states[0].shape[0]
    t = torch.tensor(levels, device=states[0].device).repeat_interleave(batch)
    x_hats, marks = as_denoiser(denoiser).estimate(rearrange(list(states), "level b ... -> (level b) ..."), t)
    split = "(level b) ... -> level b ..."
    maps = [None] * len(levels) if marks is None else rearrange(marks, split, b=batch)
    for level, x_t, x_hat, mark in zip(levels, states, rearrange(x_hats, split, b=batch), maps, strict=True):
        yield StepRecord(level, 0, x_t, x_hat, x_hat, mark)


def estimate_singly(noised_states: Iterable[tuple[int, Tensor]], denoiser: Denoiser) -> Iterator[StepRecord]:
    """Estimate the clean image from states (B, C, *S) at several levels, one after the other."""
    for t, x_t in noised_states:
        x_hat, mark = as_denoiser(denoiser).estimate(x_t, as_level(t, x_t))
        yield StepRecord(t, 0, x_t, x_hat, x_hat, mark)


noised = noise_to_level  # the former name, which parts of other distributions may still import
