"""Whether a probability means what it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.ranking import check_vectors


def reliability(p: ArrayLike, truth: ArrayLike, bins: int = 15) -> NDArray[np.float64]:
    """Return confidence, frequency and count of each bin that holds anything, (K, 3).

    Args:
        p: Probabilities of being a lesion, any shape, in [0, 1].
        truth: True classes, same shape.
        bins: Number of equal bins.

    Raises:
        ValueError: If shapes differ, a probability is outside [0, 1], or there is no bin.
    """
    values, y = _probabilities(p, truth)
    if bins < 1:
        raise ValueError(f"expected at least 1 bin, got {bins}")
    index = np.minimum((values * bins).astype(np.int64), bins - 1)
    count = np.bincount(index, minlength=bins)
    sums = [np.bincount(index, weights=w, minlength=bins) for w in (values, y)]
    filled_bins = count > 0
    sizes = count[filled_bins]
    return np.stack([sums[0][filled_bins] / sizes, sums[1][filled_bins] / sizes, sizes], 1)


def expected_calibration_error(p: ArrayLike, truth: ArrayLike, bins: int = 15) -> float:
    r"""Return the mean gap between what is promised and what comes true.

    .. math:: ECE = \sum_b \frac{n_b}{N} \, \lvert freq_b - conf_b \rvert

    Args:
        p: Probabilities of being a lesion, any shape, in [0, 1].
        truth: True classes, same shape.
        bins: Number of equal bins.

    Raises:
        ValueError: As ``reliability``.

    Reference:
        On calibration of modern neural networks (Guo et al., 2017), eq. 3.
    """
    table = reliability(p, truth, bins)
    if not len(table):
        return math.nan
    return float(np.abs(table[:, 1] - table[:, 0]) @ table[:, 2] / table[:, 2].sum())


def _probabilities(p: ArrayLike, truth: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    values, y = check_vectors(p, truth)
    values = values.astype(np.float64)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"expected probabilities in [0, 1], got {values.min():g} to {values.max():g}")
    return values, y
