"""Scores made of scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffad.protocols import AnomalyScore, ScoreRun
from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import begin_run
from diffad.types import Reconstruction, StepRecord

Part = Mapping[str, Any] | AnomalyScore


def _build_scores(scores: Sequence[Part]) -> list[AnomalyScore]:
    """Build scores from mappings of ``name`` and options; ready ones pass."""
    if not scores:
        raise ValueError("expected at least one score to combine, got none")
    return [SCORES.ready(part) for part in scores]


@dataclass(frozen=True)
class CombinedRun:
    """The runs of all scores on one scan.

    Args:
        parts: Run of each score.
        reduce: Makes one map of all, (N, B, 1, *S) to (B, 1, *S).
    """

    parts: Sequence[ScoreRun]
    reduce: Callable[[Tensor], Tensor]

    @property
    def children(self) -> Mapping[str, Sequence[ScoreRun]]:
        """The runs."""
        return {"parts": self.parts}

    def record(self, step: StepRecord) -> None:
        """Let every score take in the move."""
        for part in self.parts:
            part.record(step)

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the combined map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        return self.reduce(torch.stack([part.map(x, restoration, mask) for part in self.parts]))


class _Combination:
    """Holds the scores that are combined.

    Args:
        scores: The scores, each a mapping of its ``name`` and options.

    Raises:
        ValueError: If there are none, or one has no name.
    """

    def __init__(self, scores: Sequence[Part] = ({"name": "l1"}, {"name": "ssim"})) -> None:
        self.scores, self._parts = scores, _build_scores(scores)

    @property
    def children(self) -> Mapping[str, Sequence[AnomalyScore]]:
        """The scores."""
        return {"scores": self._parts}

    def begin(self, x: Tensor, schedule: Schedule) -> CombinedRun:
        """Begin a run of every score on ``x`` (B, C, *S) in [-1, 1]; plain ones wait for the result."""
        return CombinedRun([begin_run(part, x, schedule) for part in self._parts], self._reduce)

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the combined map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        return self._reduce(torch.stack([part(x, restoration, mask) for part in self._parts]))

    def _reduce(self, maps: Tensor) -> Tensor:
        raise NotImplementedError


@SCORES.register("mean")
class MeanScore(_Combination):
    r"""Arithmetic mean of scores; by default absolute residual and structural dissimilarity.

    .. math:: a = \sum_n w_n a_n / \sum_n w_n

    Args:
        scores: The scores, each a mapping of its ``name`` and options.
        weights: Weight :math:`w_n` of each; none weighs all alike.

    Raises:
        ValueError: If there are none, one has no name, or the weights are others than positive, one a score.

    Example:
        >>> both = SCORES.build("mean", scores=[{"name": "l1"}, {"name": "ssim", "window": 11}])
    """

    def __init__(
        self,
        scores: Sequence[Part] = ({"name": "l1"}, {"name": "ssim"}),
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(scores)
        self.weights = weights
        if weights is not None and (len(weights) != len(self._parts) or not all(w > 0 for w in weights)):
            raise ValueError(f"expected a positive weight for each of {len(scores)} scores, got {weights}")

    def _reduce(self, maps: Tensor) -> Tensor:
        if self.weights is None:
            return maps.mean(0)
        weighted_maps = [w * a for w, a in zip(self.weights, maps, strict=True)]
        return torch.stack(weighted_maps).sum(0) / sum(self.weights)


@SCORES.register("product")
class ProductScore(_Combination):
    r"""Product of scores, high only where all are; by default absolute residual and structural dissimilarity.

    .. math:: a = \prod_n a_n

    The scale of the map is that of its scores: thresholds do not carry over to other scores or options.

    Args:
        scores: The scores, each a mapping of its ``name`` and options.

    Raises:
        ValueError: If there are none, or one has no name.

    Reference:
        Mask, stitch, and re-sample (autoDDPM, Bercea et al., 2023): residual times perceptual distance.

    Example:
        >>> perceptual = {"name": "lpips", "trunk": "vgg", "blur": 2.0, "clip": 1.0}
        >>> published = SCORES.build("product", scores=[{"name": "l1"}, perceptual])
    """

    def _reduce(self, maps: Tensor) -> Tensor:
        return maps.prod(0)
