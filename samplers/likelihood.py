"""What a first twin tells of a scan: how likely each voxel is anomalous, and the region that follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.registry import SAMPLERS, SCORES
from diffad.types import Generators, Restoration, StepRecord

LIKELIHOOD = {"name": "product", "scores": [{"name": "relative"}, {"name": "ssim", "window": 11}]}
"""Residual by structural dissimilarity, for LPIPS as published, which needs a network of photographs."""


@dataclass(frozen=True)
class FirstPass:
    r"""Makes a coarse twin :math:`x_c`, and the likelihood that a voxel of the scan is anomalous.

    .. math:: L = a(x, x_c)

    Args:
        coarse: Sampler of the coarse twin.
        score: Score :math:`a` of scan and coarse twin, both in [0, 1].
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
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> Restoration:
        """Return the coarse twin of ``x`` (B, C, *S) in [-1, 1], with the likelihood as its map."""
        found = self.coarse(x, denoiser, noise, generator=generator, mask=mask, on_step=on_step)
        image, twin = _public(x, found)
        return replace(found, map=self.score(image, twin, None if self.everywhere else mask))


def _public(x: Tensor, found: Restoration) -> tuple[Tensor, Restoration]:
    """Bring an image, its twin, their spread and reference from the model range to [0, 1]."""
    from diffad.data.space import to_public  # its package imports the libraries of files

    std = None if found.std is None else found.std / 2
    reference = None if found.reference is None else to_public(found.reference)
    return to_public(x), replace(found, image=to_public(found.image), std=std, reference=reference)


def sampler_of(spec: Mapping[str, Any] | Sampler) -> Sampler:
    """Build a sampler from a mapping of ``name`` and options; a ready one passes."""
    if not isinstance(spec, Mapping):
        return spec
    if "name" not in spec:
        raise ValueError(f"expected a coarse sampler with a name, got {dict(spec)}")
    built: Sampler = SAMPLERS.build(**spec)
    return built


def score_of(spec: Mapping[str, Any] | AnomalyScore) -> AnomalyScore:
    """Build a score from a mapping of ``name`` and options; a ready one passes."""
    if not isinstance(spec, Mapping):
        return spec
    if "name" not in spec:
        raise ValueError(f"expected a score with a name, got {dict(spec)}")
    built: AnomalyScore = SCORES.build(**spec)
    return built


def suspects(likelihood: Tensor, threshold: float | None, share: float, brain: Tensor | None) -> Tensor:
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
    cuts = [_quantile(item[b.bool()], share) for item, b in zip(likelihood, brain, strict=True)]
    found = [item > cut for item, cut in zip(likelihood, cuts, strict=True)]
    return torch.stack(found) & brain.bool()


def _quantile(values: Tensor, share: float) -> float:
    """Return the smallest of values (N,) that at most a share of them exceeds; of none, infinity."""
    if not len(values):
        return math.inf
    allowed = math.floor(share * len(values) + 1e-9)  # a product may round down just below a whole number
    return float(values.float().kthvalue(len(values) - allowed).values)


def dilated(region: Tensor, width: int) -> Tensor:
    """Grow a region (B, 1, *S), bool, by a square or cube of odd ``width``; nothing grows from nothing."""
    pool = functional.max_pool3d if region.ndim == 5 else functional.max_pool2d
    return pool(region.float(), width, stride=1, padding=width // 2) > 0
