"""How much the volumes of findings of one size vary by re-scanning, and how often they come or go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

EDGES_ML = (0.0, 0.3, 1.0, 3.0, 5.0, 10.0, 20.0, math.inf)
"""Edges of the sizes that are told apart, in ml."""
QUANTILE, LEAST_PAIRS = 0.95, 20
"""Share of re-scans within the limit, and pairs without which the sizes are taken together."""
Pair = tuple[float, float]
"""Volumes of one finding in two scans, in ml; 0 where it was not detected."""


@dataclass(frozen=True)
class Finding:
    """One finding in two scans of one person on one day.

    Args:
        pair: Its volumes.
        map_change: Mean of the second map in it, less that of the first.
    """

    pair: Pair
    map_change: float

    @property
    def is_lone(self) -> bool:
        """Whether one of the scans has no detection there."""
        return min(self.pair) == 0


@dataclass(frozen=True)
class NoiseBin:
    """What re-scanning does to detections of one size.

    Args:
        low_ml: Smallest volume, by the geometric mean of both scans, or of the one.
        high_ml: Largest volume; infinite for the last.
        pairs: Number of findings that both scans had.
        log_limit: Largest absolute logarithm of the ratio of both volumes of 95 % of them.
        findings: Number of findings that any of two scans had.
        lost_count: Number of those that the other had not.
    """

    low_ml: float
    high_ml: float
    pairs: int
    log_limit: float
    findings: int
    lost_count: int

    @property
    def loss_share(self) -> float:
        """Share of the findings that one of two scans had not."""
        return self.lost_count / self.findings if self.findings else math.nan


def size_pair(pair: Pair) -> float:
    """Return the size of a finding: the geometric mean of both volumes, or the one there is."""
    return math.sqrt(pair[0] * pair[1]) if min(pair) > 0 else max(pair)


def group_sizes(pairs: Sequence[Pair]) -> list[tuple[float, float, list[Pair]]]:
    """Cut pairs by size, and join neighbours from the smallest on until each has enough in both scans."""
    groups: list[tuple[float, float, list[Pair]]] = []
    start, group = 0.0, list[Pair]()
    for low, high in pairwise(EDGES_ML):
        group += [pair for pair in pairs if low <= size_pair(pair) < high]
        if sum(min(pair) > 0 for pair in group) >= LEAST_PAIRS:
            groups.append((start, high, group))
            start, group = high, []
    if not groups:
        return [(0.0, math.inf, group)]
    low, _, last = groups.pop()
    return [*groups, (low, math.inf, last + group)]


def make_bin(low_ml: float, high_ml: float, pairs: Sequence[Pair]) -> NoiseBin:
    """Measure the pairs of one size, given by its smallest and largest volume."""
    logs = [abs(math.log(b / a)) for a, b in pairs if min(a, b) > 0]
    lost_count = sum(min(pair) == 0 for pair in pairs)
    return NoiseBin(low_ml, high_ml, len(logs), round(measure_limit(logs), 4), len(pairs), lost_count)


def measure_limit(values: Sequence[float]) -> float:
    """Return what 95 % of some values stay below; it is one of them, the largest of fewer than twenty."""
    return float(np.quantile(values, QUANTILE, method="higher"))
