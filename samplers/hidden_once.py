"""Two passes in which each voxel of a brain is hidden once, of which a threshold is measured."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator
from diffad.samplers.hidden import draw_hidden
from diffad.samplers.uncover import begin_passes
from diffad.types import Generators, Reconstruction, StepRecord

DRAWN = (0, 1)
"""Keys of the stream that says what is hidden; those of passes are single."""


class HiddenOnce:
    """Hides a part of each brain as in training, then all the rest of it, and puts both together.

    Each voxel is then rebuilt once without being seen, so that the errors of all voxels count for a
    threshold. As published only those of random training masks do.

    Args:
        sigma: Standard deviation of the noise that hides.
        score: The error, which is recorded on the way.
    """

    def __init__(self, sigma: float, score: AnomalyScore) -> None:
        self.sigma, self.score = sigma, score

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
        """Rebuild ``x`` (B, C, *S) in [-1, 1] in two passes."""
        cover = (self.sigma, self.score)
        passes = begin_passes(x, denoiser, noise, *cover, generator=generator, mask=mask, on_step=on_step)
        pairs = zip(passes.brain, passes.streams.make_generators(*DRAWN), strict=True)
        part = torch.stack([draw_hidden(brain, g) for brain, g in pairs])
        items = torch.arange(len(x), device=x.device)
        passes.look(part, items)
        twin = passes.twin.clone()
        passes.look(passes.brain & ~part, items)
        return Reconstruction(torch.where(part, twin, passes.twin), nfe=passes.count)
