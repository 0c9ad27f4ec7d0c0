"""What a coarse reconstruction shows: how likely each voxel is anomalous, and the region that follows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from diffad.capabilities import begin_run, wants_records
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler, ScoreRun
from diffad.types import Generators, Reconstruction, StepRecord

OnStep = Callable[[StepRecord], None]

LIKELIHOOD = {"name": "product", "scores": [{"name": "relative"}, {"name": "ssim", "window": 11}]}
"""Residual by structural dissimilarity, for LPIPS as published, which needs a network of photographs."""


@dataclass(frozen=True)
class FirstPass:
    r"""Makes a coarse reconstruction :math:`x_c`, and the likelihood that a voxel of the scan is anomalous.

    .. math:: L = a(x, x_c)

    Args:
        coarse: Sampler of the coarse reconstruction.
        score: Score :math:`a` of scan and coarse reconstruction, both in [0, 1].
        everywhere: Score the whole image, whatever the mask.
    """

    coarse: Sampler
    score: AnomalyScore
    everywhere: bool = False

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: OnStep | None = None,
    ) -> Reconstruction:
        """Return the coarse reconstruction of ``x`` (B, C, *S) in [-1, 1], with the likelihood as its map."""
        from diffad.data.space import (  # its package imports libraries of files
            reconstruction_to_public,
            to_public,
        )

        run = begin_run(self.score, x, denoiser.schedule)
        watch = _report_moves(run, on_step)
        coarse = self.coarse(x, denoiser, noise, generator=generator, mask=mask, on_step=watch)
        scored_mask = None if self.everywhere else mask
        likelihood = run.map(to_public(x), reconstruction_to_public(coarse), scored_mask)
        return replace(coarse, map=likelihood)


def _report_moves(run: ScoreRun, on_step: OnStep | None) -> OnStep | None:
    """Return what reports moves to the run of a score, where it wants them, and hands them on."""
    if not wants_records(run):
        return on_step

    def watch(record: StepRecord) -> None:
        run.record(record)
        if on_step is not None:
            on_step(record)

    return watch


def find_suspects(likelihood: Tensor, threshold: float | None, share: float, brain: Tensor | None) -> Tensor:
    r"""Cut a likelihood at a threshold, or at the quantile of each item.

    .. math:: B = [L > \tau], \quad \text{or} \quad B = [L > L_{(N - \lfloor share \, N \rfloor)}]

    Args:
        likelihood: Likelihood :math:`L`, (B, 1, *S).
        threshold: Threshold :math:`\tau`; none takes the quantile of each item inside its brain.
        share: Most voxels above the quantile, as a share of the :math:`N` of the brain.
        brain: Brain masks, (B, 1, *S); everything if absent.

    Returns:
        Suspicious voxels :math:`B`, (B, 1, *S), bool.

    Reference:
        Mask, Stitch, and Re-Sample (Bercea et al., 2023), section 2.
    """
    if threshold is not None:
        return likelihood > threshold
    brain = torch.ones_like(likelihood) if brain is None else brain
    cuts = [_find_quantile(item[b.bool()], share) for item, b in zip(likelihood, brain, strict=True)]
    suspects = [item > cut for item, cut in zip(likelihood, cuts, strict=True)]
    return torch.stack(suspects) & brain.bool()


def _find_quantile(values: Tensor, share: float) -> float:
    """Return the smallest of values (N,) that at most a share of them exceeds; of none, infinity."""
    if not len(values):
        return math.inf
    count = math.floor(share * len(values) + 1e-9)  # a product may round down just below a whole number
    return float(values.float().kthvalue(len(values) - count).values)


def dilate_region(region: Tensor, width: int) -> Tensor:
    """Grow a region (B, 1, *S), bool, by a square or cube of odd ``width``; nothing grows from nothing."""
    pool = functional.max_pool3d if region.ndim == 5 else functional.max_pool2d
    return pool(region.float(), width, stride=1, padding=width // 2) > 0
