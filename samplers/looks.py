"""Looks: estimates of the clean image from states at several levels, in one evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from einops import rearrange
from torch import Tensor

from diffad.protocols import Denoiser
from diffad.types import StepRecord


def estimate_stack(looks: Iterable[tuple[int, Tensor]], denoiser: Denoiser) -> Iterator[StepRecord]:
    """Evaluate states (B, C, *S) with their levels in one batch, ordered "(look b)"."""
    levels, states = zip(*looks, strict=True)
    batch = states[0].shape[0]
    t = torch.tensor(levels, device=states[0].device).repeat_interleave(batch)
    x_hats = denoiser(rearrange(list(states), "look b ... -> (look b) ..."), t)
    x_hats = rearrange(x_hats, "(look b) ... -> look b ...", b=batch)
    for level, x_t, x_hat in zip(levels, states, x_hats, strict=True):
        yield StepRecord(level, 0, x_t, x_hat, x_hat)
