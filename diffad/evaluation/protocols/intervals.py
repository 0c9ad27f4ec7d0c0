"""Figures with intervals over subjects."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.protocols.unit import ScoredImage
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
        known = np.asarray(values, dtype=np.float64)
        known = known[~np.isnan(known)]
        if not self.resamples or not len(known):
            return Metric(float(known.mean()) if len(known) else math.nan)
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

    def pooled(self, units: Sequence[ScoredImage]) -> dict[str, tuple[float, float]]:
        """Give the intervals of pooled AP, AUROC and best Dice; none without both classes."""
        truth = [unit.truth for unit in units]
        if not self.resamples or not any(t.any() for t in truth) or all(t.all() for t in truth):
            return {}
        edges = _edges(units)
        names = sorted({unit.subject for unit in units})
        counts = np.zeros((2, len(names), len(edges) + 1))
        for unit in units:
            bins = np.searchsorted(edges, unit.scores, side="right")
            subject = names.index(unit.subject)
            for row, chosen in enumerate((unit.truth, ~unit.truth)):
                counts[row, subject] += np.bincount(bins[chosen], minlength=len(edges) + 1)
        return pooled_interval(counts[0], counts[1], resamples=self.resamples, seed=self.seed)


def _edges(units: Sequence[ScoredImage]) -> NDArray[np.float32]:
    """Lower edges of bins that hold about equally many scores of a class."""
    ends = []
    for lesion in (True, False):
        scores = np.sort(np.concatenate([unit.scores[unit.truth == lesion] for unit in units]))
        at = np.linspace(0, len(scores) - 1, min(BINS, len(scores))).round().astype(np.int64)
        ends.append(scores[at])
    return np.unique(np.concatenate(ends))[1:]
