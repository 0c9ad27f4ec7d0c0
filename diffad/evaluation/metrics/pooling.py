"""One score for a whole image out of its voxels' scores, in every way that papers take it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.registry import unknown_name


def pool(values: ArrayLike, how: str = "mean", share: float = 0.01, q: float = 98.0) -> float:
    r"""Pool scores to one.

    .. math:: \text{topk} = \text{mean of the } \lceil share \, N \rceil \text{ highest of } N \text{ scores}

    Args:
        values: Scores, any shape with at least one.
        how: One of mean, max, std, percentile and topk.
        share: Share of the scores that topk averages, in (0, 1].
        q: Percentile, in [0, 100].

    Raises:
        UnknownNameError: If there is no such pooling.
        ValueError: If an option is out of range or there is no score.
    """
    if how not in POOLINGS:
        raise unknown_name("pooling", how, list(POOLINGS))
    if not 0 < share <= 1 or not 0 <= q <= 100:
        raise ValueError(f"expected share in (0, 1] and q in [0, 100], got {share} and {q}")
    scores = np.asarray(values).ravel()
    if not scores.size:
        raise ValueError("expected at least one score to pool, got none")
    return float(POOLINGS[how](scores, share, q))


def _mean_of_top(scores: NDArray[Any], share: float, q: float) -> float:
    count = math.ceil(share * scores.size)
    return float(np.partition(scores, scores.size - count)[scores.size - count :].mean(dtype=np.float64))


POOLINGS: dict[str, Callable[[NDArray[Any], float, float], float]] = {
    "mean": lambda scores, share, q: float(scores.mean(dtype=np.float64)),
    "max": lambda scores, share, q: float(scores.max()),
    "std": lambda scores, share, q: float(scores.std(dtype=np.float64)),
    "percentile": lambda scores, share, q: float(np.percentile(scores, q)),
    "topk": _mean_of_top,
}
