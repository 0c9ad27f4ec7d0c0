"""Mean and spread of several images, without keeping them."""

from __future__ import annotations

import torch
from torch import Tensor


class RunningMoments:
    r"""Accumulates images one by one, so that an item's rounding does not depend on its batch.

    .. math:: \bar x = \tfrac{1}{n} \sum_k x_k, \quad s^2 = \tfrac{1}{n - 1} \sum_k (x_k - \bar x)^2

    Reference:
        Note on a method for calculating corrected sums of squares and products (Welford, 1962).
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = self._squares = torch.zeros(())

    def add(self, x: Tensor) -> None:
        """Take in one image (B, C, *S)."""
        from_old = x - self._sum / max(self.count, 1)
        self._sum, self.count = self._sum + x, self.count + 1
        if self.count > 1:
            self._squares = self._squares + from_old * (x - self._sum / self.count)

    @property
    def mean(self) -> Tensor:
        """Mean of the images, (B, C, *S)."""
        return self._sum / self.count

    @property
    def std(self) -> Tensor | None:
        """Unbiased standard deviation, (B, C, *S); none for a single image."""
        return (self._squares / (self.count - 1)).clamp(min=0).sqrt() if self.count > 1 else None
