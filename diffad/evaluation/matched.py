"""Brightness once the histograms of brains are alike: the threshold that finds hyperintensities in FLAIR."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor

LANDMARKS = 101
"""Quantiles that are brought to those of healthy brains, from the lowest to the highest value."""


class MatchedIntensity:
    r"""Scores each voxel by its brightness, its brain's histogram brought to that of healthy brains.

    .. math:: a = m(x), \quad m(q_k(x)) = \frac{1}{n} \sum_i q_k(x_i)

    with :math:`q_k` the k-th percentile of what lies in a brain, and :math:`m` straight between them. The
    ranks within a scan stay, so that the gain is one threshold for all.

    Reference:
        New variants of a method of MRI scale standardization (Nyul et al., 2000).
    """

    def fit(self, scans: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Learn the percentiles of healthy scans (*S) with their brain masks (*S), one after the other.

        Raises:
            ValueError: If there is none.
        """
        rows = [_list_landmarks(image, brain) for image, brain in scans]
        if not rows:
            raise ValueError("expected at least one healthy scan to learn from, got none")
        self.landmarks = torch.stack(rows).mean(0)
        return self

    def score(self, image: Tensor, brain: Tensor) -> Tensor:
        """Map a scan (*S) to its matched brightness (*S) inside its brain (*S), 0 elsewhere."""
        own = _list_landmarks(image, brain)
        upper = torch.searchsorted(own, image.contiguous()).clamp(1, LANDMARKS - 1)
        low, high = own[upper - 1], own[upper]
        share = ((image - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        return torch.lerp(self.landmarks[upper - 1], self.landmarks[upper], share) * brain


def _list_landmarks(image: Tensor, brain: Tensor) -> Tensor:
    values = image[brain.bool()].float().sort().values
    if not len(values):
        raise ValueError("expected a brain mask with voxels inside, got an empty one")
    ranks = torch.linspace(0, len(values) - 1, LANDMARKS).round().long()
    return values[ranks]
