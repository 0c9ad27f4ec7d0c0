"""Confidence intervals by resampling subjects: what one person contributes moves together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.result import Metric

Interval = tuple[float, float]
NO_INTERVAL: Interval = (math.nan, math.nan)


def interval(
    subjects: Sequence[str],
    statistic: Callable[[NDArray[np.int64]], float],
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the percentile interval of any statistic.

    Args:
        subjects: Subject of each row.
        statistic: Takes the numbers of the rows of one resample, and returns a number.
        level: Fraction of the resamples inside, in (0, 1).
        resamples: How often subjects are drawn, with replacement.
        seed: Seed of the draws.

    Returns:
        Both ends; NaN with fewer than two subjects, resamples where the statistic is NaN do not count.

    Raises:
        ValueError: If the level or the number of resamples is out of range.

    Reference:
        An introduction to the bootstrap (Efron and Tibshirani, 1993), section 13.3.
    """
    _check_resamples(resamples)
    names, rows = _group_rows(subjects)
    if len(names) < 2:
        return NO_INTERVAL
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(names), size=(resamples, len(names)))
    return percentiles([statistic(np.concatenate([rows[i] for i in draw])) for draw in draws], level)


def mean_interval(
    subjects: Sequence[str], values: ArrayLike, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Metric:
    """Return the mean of rows with its interval over subjects; rows that are NaN do not count.

    Args:
        subjects: Subject of each row.
        values: One value for each row, (N,).
        level: As for ``interval``.
        resamples: As for ``interval``.
        seed: As for ``interval``.
    """
    numbers = np.asarray(values, dtype=np.float64)
    index = np.flatnonzero(~np.isnan(numbers))
    if not len(index):
        return Metric(math.nan)
    _, rows = _group_rows([subjects[int(i)] for i in index])
    sums = np.array([numbers[index][r].sum() for r in rows])
    sizes = np.array([len(r) for r in rows])
    mean = float(sums.sum() / sizes.sum())
    if len(rows) < 2:
        return Metric(mean)
    weights = _draw_weights(len(rows), resamples, seed)
    return Metric(mean, *percentiles(weights @ sums / (weights @ sizes), level))


def pooled_interval(
    positives: ArrayLike, negatives: ArrayLike, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Return intervals of pooled AP, AUROC and best Dice from histograms of each subject.

    Args:
        positives: Lesion voxels of each subject in bins of ascending scores, (S, K).
        negatives: Healthy voxels, alike, (S, K).
        level: As for ``interval``.
        resamples: As for ``interval``.
        seed: As for ``interval``.

    Raises:
        ValueError: If the shapes differ.
    """
    pos, neg = (np.asarray(v, dtype=np.float64)[:, ::-1] for v in (positives, negatives))
    if pos.shape != neg.shape:
        raise ValueError(f"expected histograms of one shape, got {pos.shape} and {neg.shape}")
    names = ("pixel_ap", "pixel_auroc", "best_dice")
    if len(pos) < 2:
        return dict.fromkeys(names, NO_INTERVAL)
    weights = _draw_weights(len(pos), resamples, seed)
    parts = [_rank_counts(w @ pos, w @ neg) for w in np.array_split(weights, math.ceil(resamples / 100))]
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return {name: percentiles(column, level) for name, column in zip(names, columns, strict=True)}


def percentiles(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the two ends that hold the middle ``level`` of values, without those that are NaN.

    Raises:
        ValueError: If the level is outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level in (0, 1), got {level}")
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return NO_INTERVAL
    low, high = np.percentile(numbers, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _check_resamples(resamples: int) -> None:
    if resamples < 1:
        raise ValueError(f"expected at least 1 resample, got {resamples}")


def _group_rows(subjects: Sequence[str]) -> tuple[list[str], list[NDArray[np.int64]]]:
    groups: dict[str, list[int]] = {}
    for i, subject in enumerate(subjects):
        groups.setdefault(subject, []).append(i)
    names = sorted(groups)
    return names, [np.array(groups[name], np.int64) for name in names]


def _draw_weights(count: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each subject is in each resample, (R, S)."""
    _check_resamples(resamples)
    draws = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=resamples)
    return draws.astype(np.float64)


def _rank_counts(pos: NDArray[Any], neg: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """AP, AUROC and best Dice of each row of counts (R, K), highest scores first; NaN with one class."""
    hits, alarms = pos.cumsum(1), neg.cumsum(1)
    lesion, healthy = hits[:, -1:], alarms[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(pos > 0, hits / (hits + alarms), 0)
        ap = (pos * precision).sum(1) / lesion[:, 0]
        losses = (pos * (alarms - neg / 2)).sum(1)
        auroc = 1 - losses / (lesion * healthy)[:, 0]
        dice = np.nanmax(2 * hits / (hits + alarms + lesion), axis=1)
    both_classes = (lesion[:, 0] > 0) & (healthy[:, 0] > 0)
    return tuple(np.where(both_classes, v, np.nan) for v in (ap, auroc, dice))  # type: ignore[return-value]
