"""The score of a first, coarse reconstruction by the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from einops import repeat
from torch import Tensor

from diffad.capabilities import begin_run, wants_records
from diffad.data.space import reconstruction_to_public, to_model
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.registry import SALIENCIES, SAMPLERS, SCORES
from diffad.saliency.base import check_scan
from diffad.types import Generators

Look = Callable[[Tensor, Tensor | None], Tensor]


@SALIENCIES.register("restored")
class Restored:
    r"""Restores a scan once with a sampler, and scores it against that reconstruction.

    .. math:: S = a(x, \hat x)

    It needs the denoiser that restores, which a sampler hands to ``begin``; all channels have one map.

    Args:
        sampler: Sampler of the first reconstruction, as a mapping of its ``name`` and options, or ready.
        score: Score :math:`a`, likewise.

    Raises:
        ValueError: If a mapping has no name, or on a call without ``begin``.

    Example:
        >>> look = SALIENCIES.build("restored", score={"name": "ssim"}).begin(denoiser, noise, generators)
        >>> S = look(x, mask)
    """

    def __init__(
        self,
        sampler: Mapping[str, Any] | Sampler | None = None,
        score: Mapping[str, Any] | AnomalyScore | None = None,
    ) -> None:
        self.sampler, self.score = sampler, score
        self._sampler: Sampler = SAMPLERS.ready(sampler or {"name": "chain"})
        self._score: AnomalyScore = SCORES.ready(score or {"name": "l1"})

    @property
    def children(self) -> Mapping[str, Sampler | AnomalyScore]:
        """The sampler and the score."""
        return {"sampler": self._sampler, "score": self._score}

    def begin(self, denoiser: Denoiser, noise: NoiseGenerator, generator: Generators) -> Look:
        """Return the saliency of scans that ``denoiser`` restores.

        Args:
            denoiser: What restores.
            noise: Unit noise.
            generator: One for each item, or one for all.
        """

        @torch.no_grad()
        def look(x: Tensor, mask: Tensor | None = None) -> Tensor:
            x = check_scan(x, mask)
            run = begin_run(self._score, to_model(x), denoiser.schedule)
            on_step = run.record if wants_records(run) else None
            reconstruction = self._sampler(
                to_model(x), denoiser, noise, generator=generator, mask=mask, on_step=on_step
            )
            scores = run.map(x, reconstruction_to_public(reconstruction), mask)
            return repeat(scores, "b 1 ... -> b c ...", c=x.shape[1]).clone()

        return look

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Refuse to look at a scan without a denoiser.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "expected begin(denoiser, noise, generator) of the saliency 'restored' before its call"
        )
