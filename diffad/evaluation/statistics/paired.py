"""Whether one method beats another on the same subjects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.statistics.bootstrap import mean_interval

EXACT = 12
"""Up to so many subjects every flip of signs is counted."""


class PairedComparison(NamedTuple):
    """How two methods differ.

    Args:
        difference: Mean of first minus second.
        low: Lower end of its 95 % interval over subjects.
        high: Upper end, alike.
        p_permutation: Two-sided p by flips of signs.
        p_wilcoxon: Two-sided p of the signed ranks.
        n: Number of subjects with both values.
    """

    difference: float
    low: float
    high: float
    p_permutation: float
    p_wilcoxon: float
    n: int


def compare_paired(
    a: Mapping[str, float], b: Mapping[str, float], resamples: int = 10_000, seed: int = 0
) -> PairedComparison:
    """Compare two methods, subject by subject; a subject with a value that is NaN does not count.

    Args:
        a: Values of the first by subject.
        b: Values of the second by subject; the same subjects.
        resamples: Random flips of signs, where there are too many to count all.
        seed: Seed of the flips.

    Raises:
        ValueError: If a subject has one value only, or there is none.

    Reference:
        Individual comparisons by ranking methods (Wilcoxon, 1945); The design of experiments (Fisher, 1935).
    """
    if unpaired := sorted(set(a) ^ set(b)):
        names = ", ".join(unpaired[:5]) + (", ..." if len(unpaired) > 5 else "")
        raise ValueError(f"expected both values of every subject, got one only of {names}")
    if not a:
        raise ValueError("expected at least one subject, got none")
    gap_of = {name: a[name] - b[name] for name in sorted(a) if not math.isnan(a[name] - b[name])}
    if not gap_of:
        return PairedComparison(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    gaps = np.array(list(gap_of.values()))
    mean = mean_interval(list(gap_of), gaps, seed=seed)
    p = _permutation(gaps, resamples, seed)
    return PairedComparison(mean.value, mean.low, mean.high, p, _wilcoxon(gaps), len(gaps))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number; NaN stays and does not count.

    Reference:
        A simple sequentially rejective multiple test procedure (Holm, 1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    corrected_p = np.full(len(p), np.nan)
    index = np.flatnonzero(~np.isnan(p))
    order = index[np.argsort(p[index], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected_p[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return [float(v) for v in corrected_p]


def _permutation(gaps: NDArray[np.float64], resamples: int, seed: int) -> float:
    n = len(gaps)
    if n <= EXACT:
        signs = 1 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        extra = 0
    else:
        signs = 1 - 2.0 * np.random.default_rng(seed).integers(2, size=(resamples, n))
        extra = 1  # what was observed is one of the flips
    # sums of the same gaps in another order round otherwise
    extreme = np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12 * np.abs(gaps).sum()
    return float((extreme.sum() + extra) / (len(signs) + extra))


def _wilcoxon(gaps: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(gaps).pvalue) if gaps.any() else 1.0
