"""Naive anomaly maps that a model has to beat."""

from __future__ import annotations

from typing import Self

import torch
from einops import rearrange
from torch import Tensor

from diffad.inference.median_filter import median_filter


def raw_intensity(x: Tensor) -> Tensor:
    """Return scans ``x`` (B, C, *S) as their own anomaly maps (B, 1, *S): how far brightness alone gets."""
    return x.mean(1, keepdim=True)


class ZScoreBaseline:
    r"""Scores each voxel by its distance from the healthy mean, in healthy standard deviations.

    .. math:: a = \frac{\lvert x - \mu \rvert}{\sigma + \epsilon}

    with the mean and SD of each voxel over the training scans whose brain it lies in; channels are
    averaged.

    Args:
        median: Width of the median filter of the map, in voxels; 1 leaves it out.
        eps: Added to the SD, in units of the intensity range, lest voxels that hardly vary dominate.
    """

    def __init__(self, median: int = 5, eps: float = 0.02) -> None:
        self.median, self.eps = median, eps

    def fit(self, train: Tensor, masks: Tensor) -> Self:
        """Learn mean and SD.

        Args:
            train: Healthy scans, (N, C, *S), in [0, 1].
            masks: Brain masks, (N, 1, *S) or (1, 1, *S), boolean.

        Raises:
            ValueError: If the shapes do not fit or there are fewer than two scans.
        """
        weight = _check_weights(train, masks)
        count = weight.sum(0).clamp(min=1)
        self.mean = (weight * train).sum(0) / count
        self.sd = ((weight * (train - self.mean).square()).sum(0) / count).sqrt()
        return self

    def score(self, x: Tensor) -> Tensor:
        """Map scans ``x`` (B, C, *S) in [0, 1] to anomaly maps (B, 1, *S)."""
        distance = (x - self.mean).abs() / (self.sd + self.eps)
        return median_filter(distance.mean(1, keepdim=True), self.median)


class RobustZScore:
    r"""Scores each voxel by its distance from the healthy median, in robust standard deviations.

    .. math::
        a = \frac{\lvert x - m \rvert}{\sigma + \epsilon}, \quad
        \sigma = 1.4826 \, \operatorname{median}_i \lvert x_i - m \rvert

    with the median :math:`m` of each voxel over all training scans, whose background is 0; channels are
    averaged. A few odd scans, or a lesion among them, move neither.

    Args:
        median: Width of the median filter of the map, in voxels; 1 leaves it out.
        eps: Added to the deviation, in units of the intensity range.
    """

    def __init__(self, median: int = 5, eps: float = 0.02) -> None:
        self.median, self.eps = median, eps

    def fit(self, train: Tensor, masks: Tensor) -> Self:
        """Learn the median and the deviation of healthy scans (N, C, *S) in their brains (N or 1, 1, *S).

        Raises:
            ValueError: If the shapes do not fit or there are fewer than two scans.
        """
        x = train * _check_weights(train, masks)
        self.centre = x.median(0).values
        self.sd = 1.4826 * (x - self.centre).abs().median(0).values
        return self

    def score(self, x: Tensor) -> Tensor:
        """Map scans ``x`` (B, C, *S) in [0, 1] to anomaly maps (B, 1, *S)."""
        distance = (x - self.centre).abs() / (self.sd + self.eps)
        return median_filter(distance.mean(1, keepdim=True), self.median)


class PCAResidual:
    r"""Scores each voxel by what a linear model of healthy scans leaves over.

    .. math:: a = \lvert (x - \mu) - V V^\top (x - \mu) \rvert

    with :math:`V` the first principal components of the training scans; the channels are averaged.

    Args:
        components: Number of components.
        median: Width of the median filter of the map, in voxels; 1 leaves it out.
    """

    def __init__(self, components: int = 16, median: int = 5) -> None:
        self.components, self.median = components, median

    def fit(self, train: Tensor, masks: Tensor) -> Self:
        """Learn mean and components of the scans inside their brains.

        Args:
            train: Healthy scans, (N, C, *S), in [0, 1].
            masks: Brain masks, (N, 1, *S) or (1, 1, *S), boolean.

        Raises:
            ValueError: If the shapes do not fit or there are not more scans than components.
        """
        x = train * _check_weights(train, masks)
        if len(x) <= self.components:
            raise ValueError(
                f"expected more than {self.components} scans for as many components, got {len(x)}"
            )
        self.mean = x.mean(0)
        deviation = rearrange(x - self.mean, "n ... -> n (...)")
        self.basis = torch.linalg.svd(deviation, full_matrices=False).Vh[: self.components]
        return self

    def score(self, x: Tensor) -> Tensor:
        """Map scans ``x`` (B, C, *S) in [0, 1] to anomaly maps (B, 1, *S)."""
        deviation = rearrange(x - self.mean, "b ... -> b (...)")
        residual = (deviation - deviation @ self.basis.T @ self.basis).abs().reshape_as(x)
        return median_filter(residual.mean(1, keepdim=True), self.median)


class MedianResidual:
    r"""Scores each voxel by its distance from the median of the training scans.

    .. math:: a = \lvert x - \operatorname{median}_i x_i \rvert

    Args:
        median: Width of the median filter of the map, in voxels; 1 leaves it out.
    """

    def __init__(self, median: int = 5) -> None:
        self.median = median

    def fit(self, train: Tensor, masks: Tensor) -> Self:
        """Learn the median of healthy scans (N, C, *S) inside their brains (N or 1, 1, *S).

        Raises:
            ValueError: If there is no scan.
        """
        if not len(train):
            raise ValueError("expected at least one scan to learn from, got none")
        self.centre = (train * masks).median(0).values
        return self

    def score(self, x: Tensor) -> Tensor:
        """Map scans ``x`` (B, C, *S) in [0, 1] to anomaly maps (B, 1, *S)."""
        return median_filter((x - self.centre).abs().mean(1, keepdim=True), self.median)


def _check_weights(train: Tensor, masks: Tensor) -> Tensor:
    mask_shape = (1, *train.shape[2:])
    if masks.shape[1:] != mask_shape or masks.shape[0] not in (1, len(train)):
        shapes = f"{tuple(train.shape)} and {tuple(masks.shape)}"
        raise ValueError(f"expected scans (N, C, *S) and masks (N or 1, 1, *S), got {shapes}")
    if len(train) < 2:
        raise ValueError(f"expected at least two scans to learn from, got {len(train)}")
    return masks.to(train.dtype).expand(len(train), *mask_shape)
