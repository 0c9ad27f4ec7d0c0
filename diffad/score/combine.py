"""Scores made of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from diffad.protocols import AnomalyScore
from diffad.registry import SCORES
from diffad.types import Restoration

Part = Mapping[str, Any] | AnomalyScore


def _built(scores: Sequence[Part]) -> list[AnomalyScore]:
    """Build scores from mappings of ``name`` and options; ready ones pass."""
    if not scores:
        raise ValueError("expected at least one score to combine, got none")
    for part in scores:
        if isinstance(part, Mapping) and "name" not in part:
            raise ValueError(f"expected a score with a name, got {dict(part)}")
    return [SCORES.build(**part) if isinstance(part, Mapping) else part for part in scores]


class _Combination:
    """Holds the scores that are combined.

    Args:
        scores: The scores, each a mapping of its ``name`` and options.

    Raises:
        ValueError: If there are none, or one has no name.
    """

    def __init__(self, scores: Sequence[Part] = ({"name": "l1"}, {"name": "ssim"})) -> None:
        self.scores, self._parts = scores, _built(scores)

    def _maps(self, x: Tensor, restoration: Restoration, mask: Tensor | None) -> Tensor:
        return torch.stack([part(x, restoration, mask) for part in self._parts])


@SCORES.register("mean")
class MeanScore(_Combination):
    r"""Arithmetic mean of scores; by default absolute residual and structural dissimilarity.

    .. math:: a = \tfrac{1}{N} \sum_n a_n

    Args:
        scores: The scores, each a mapping of its ``name`` and options.

    Raises:
        ValueError: If there are none, or one has no name.

    Example:
        >>> both = SCORES.build("mean", scores=[{"name": "l1"}, {"name": "ssim", "window": 11}])
    """

    def __call__(self, x: Tensor, restoration: Restoration, mask: Tensor | None = None) -> Tensor:
        """Return the mean map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        return self._maps(x, restoration, mask).mean(0)


@SCORES.register("product")
class ProductScore(_Combination):
    r"""Product of scores, high only where all are; by default absolute residual and structural dissimilarity.

    .. math:: a = \prod_n a_n

    Args:
        scores: The scores, each a mapping of its ``name`` and options.

    Raises:
        ValueError: If there are none, or one has no name.

    Reference:
        Mask, stitch, and re-sample (autoDDPM, Bercea et al., 2023): residual times perceptual distance.
    """

    def __call__(self, x: Tensor, restoration: Restoration, mask: Tensor | None = None) -> Tensor:
        """Return the product map (B, 1, *S) of ``x`` (B, C, *S); zero outside ``mask`` (B, 1, *S)."""
        return self._maps(x, restoration, mask).prod(0)
