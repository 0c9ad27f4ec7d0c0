"""What all scores share: a checked pair of images, and a map that ends at the mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.protocols import AnomalyScore, ScoreRun
from diffad.schedule import Schedule
from diffad.types import Reconstruction, StepRecord


def pair_images(x: Tensor, restoration: Reconstruction) -> tuple[Tensor, Tensor]:
    """Check the scan against its twin and return both, in single precision at least."""
    x_hat = restoration.image
    if x.ndim not in (4, 5):
        raise ValueError(f"expected x of shape (B, C, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}")
    if x.shape != x_hat.shape:
        raise ValueError(
            f"expected restoration.image of shape {tuple(x.shape)} like x, got {tuple(x_hat.shape)}"
        )
    dtype = torch.promote_types(torch.promote_types(x.dtype, x_hat.dtype), torch.float32)
    return x.to(dtype), x_hat.to(dtype)


def mean_inside(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Average (B, C, *S) over the channels and set it to zero outside the mask."""
    scores = scores.mean(1, keepdim=True)
    if mask is None:
        return scores
    if mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    return scores.masked_fill(~mask.bool(), 0)


@dataclass(frozen=True)
class PlainRun:
    """The run of a score that looks at scan and twin only.

    Args:
        score: The score.
    """

    score: AnomalyScore

    def record(self, step: StepRecord) -> None:
        """Let the move pass."""

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S) in [0, 1]."""
        return self.score(x, restoration, mask)


def begin_run(score: AnomalyScore, x: Tensor, schedule: Schedule) -> ScoreRun:
    """Begin a run of any score on ``x`` (B, C, *S) in [-1, 1]."""
    start = getattr(score, "begin", None)
    run: ScoreRun = PlainRun(score) if start is None else start(x, schedule)
    return run


def wants_records(run: ScoreRun) -> bool:
    """Tell whether a run wants the sampler's moves; recording them for nobody can be dear."""
    parts = getattr(run, "parts", None)
    return not isinstance(run, PlainRun) if parts is None else any(wants_records(part) for part in parts)
