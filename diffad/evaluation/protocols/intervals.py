"""Metrics with intervals over subjects."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.evaluation.result import Metric
from diffad.evaluation.statistics.bootstrap import interval, mean_interval, pooled_interval

BINS = 1024
"""Bins by quantiles of either class; together at most 2048."""


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Args:
        resamples: How often subjects are drawn; 0 makes no intervals.
        seed: Seed of the draws.
    """

    resamples: int = 1000
    seed: int = 0

    def mean(self, subjects: Sequence[str], values: ArrayLike) -> Metric:
        """Give the mean of values (N,), those that are NaN left out."""
        numbers = np.asarray(values, dtype=np.float64)
        numbers = numbers[~np.isnan(numbers)]
        if not self.resamples or not len(numbers):
            return Metric(float(numbers.mean()) if len(numbers) else math.nan)
        return mean_interval(subjects, values, resamples=self.resamples, seed=self.seed)

    def of(self, subjects: Sequence[str], statistic: Callable[[NDArray[np.int64]], float]) -> Metric:
        """Give a statistic of rows, with its interval."""
        value = statistic(np.arange(len(subjects)))
        if not self.resamples or math.isnan(value):
            return Metric(value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            ends = interval(subjects, statistic, resamples=self.resamples, seed=self.seed)
        return Metric(value, *ends)

    def pooled(self, images: Sequence[ScoredImage]) -> dict[str, tuple[float, float]]:
        """Give the intervals of pooled AP, AUROC and best Dice; none without both classes."""
        truth = [image.truth for image in images]
        if not self.resamples or not any(t.any() for t in truth) or all(t.all() for t in truth):
            return {}
        edges = _bin_edges(images)
        subjects = sorted({image.subject for image in images})
        counts = np.zeros((2, len(subjects), len(edges) + 1))
        for image in images:
            bins = np.searchsorted(edges, image.scores, side="right")
            subject = subjects.index(image.subject)
            for row, pixels in enumerate((image.truth, ~image.truth)):
                counts[row, subject] += np.bincount(bins[pixels], minlength=len(edges) + 1)
        return pooled_interval(counts[0], counts[1], resamples=self.resamples, seed=self.seed)


def _bin_edges(images: Sequence[ScoredImage]) -> NDArray[np.float32]:
    """Lower edges of bins that hold about equally many scores of a class."""
    quantiles = []
    for lesion in (True, False):
        scores = np.sort(np.concatenate([image.scores[image.truth == lesion] for image in images]))
        ranks = np.linspace(0, len(scores) - 1, min(BINS, len(scores))).round().astype(np.int64)
        quantiles.append(scores[ranks])
    return np.unique(np.concatenate(quantiles))[1:]
