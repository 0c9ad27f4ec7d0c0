"""Several methods on the same subjects: mean ranks, and which of them do not differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Friedman(NamedTuple):
    """What ranks say.

    Args:
        statistic: Friedman's chi-squared.
        p: Its p-value; NaN with fewer than three methods.
        ranks: Mean rank by method; 1 is best.
        critical_difference: Mean ranks further apart than this differ at level .05 (Nemenyi).
        n: Number of subjects.
    """

    statistic: float
    p: float
    ranks: dict[str, float]
    critical_difference: float
    n: int


def friedman(table: Mapping[str, Mapping[str, float]], alpha: float = 0.05) -> Friedman:
    r"""Rank methods within every subject, higher values first, ties shared.

    .. math:: CD = q_\alpha \sqrt{\frac{k (k + 1)}{6 n}}

    Args:
        table: Values by method and subject; all methods have the same subjects.
        alpha: Level of the critical difference.

    Raises:
        ValueError: If there are fewer than two methods, no subject, or a value is missing or NaN.

    Reference:
        Statistical comparisons of classifiers over multiple data sets (Demsar, 2006), section 3.2.2.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    methods = list(table)
    subjects = sorted(set().union(*table.values()))
    if len(methods) < 2 or not subjects:
        raise ValueError(f"expected two methods or more on a subject, got {len(methods)}, {len(subjects)}")
    values = np.array([[table[m].get(s, math.nan) for s in subjects] for m in methods])
    if np.isnan(values).any():
        m, s = np.argwhere(np.isnan(values))[0]
        raise ValueError(f"expected a value of {methods[m]!r} for {subjects[s]!r}, got none")
    k, n = values.shape
    ranks = rankdata(-values, axis=0).mean(1)
    q = float(studentized_range.ppf(1 - alpha, k, np.inf)) / math.sqrt(2)
    all_equal = (values == values[:1]).all()
    can_test = k >= 3 and n >= 2 and not all_equal
    statistic, p = friedmanchisquare(*values) if can_test else (math.nan, math.nan)
    by_method = {m: float(r) for m, r in zip(methods, ranks, strict=True)}
    return Friedman(float(statistic), float(p), by_method, q * math.sqrt(k * (k + 1) / (6 * n)), n)


def cliques(ranks: Mapping[str, float], critical_difference: float) -> list[list[str]]:
    """Return the largest groups of neighbours, best first, whose mean ranks do not differ; pairs or more."""
    order = sorted(ranks, key=lambda m: ranks[m])
    groups: list[list[str]] = []
    for i, first in enumerate(order):
        group = [m for m in order[i:] if ranks[m] - ranks[first] <= critical_difference]
        if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
            groups.append(group)
    return groups
