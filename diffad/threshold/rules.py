r"""Thresholds that cut a map into normal and anomalous.

A pixel counts as anomalous if its score is above the threshold, :math:`a > \tau`.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Pixel false-positive rates that are calibrated unless others are asked for."""


def select_values(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the scores inside the mask as one vector (N,).

    Args:
        scores: Anomaly map, any shape.
        mask: Brain mask of the same shape; everything if absent.

    Raises:
        ValueError: If the shapes differ, no pixel is inside, or a score is not finite.
    """
    if mask is not None and mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    values = scores.flatten() if mask is None else scores[mask.bool()]
    if not len(values):
        raise ValueError(
            f"expected a mask with at least one pixel, got an empty one of shape {tuple(scores.shape)}"
        )
    if count := int((~values.isfinite()).sum()):
        raise ValueError(f"expected finite scores, got {count} of {len(values)} that are not")
    return values


def check_threshold(threshold: float) -> float:
    """Return a threshold that was chosen by hand.

    Raises:
        ValueError: If it is not finite.
    """
    if not math.isfinite(threshold):
        raise ValueError(f"expected a finite threshold, got {threshold}")
    return float(threshold)


def otsu(scores: Tensor, mask: Tensor | None = None, bins: int = 256) -> float:
    r"""Threshold that separates a histogram into its two most distant classes.

    .. math:: \tau = \arg\max_k \; \omega_0(k) \, \omega_1(k) \, (\mu_0(k) - \mu_1(k))^2

    Args:
        scores: Anomaly map, any shape.
        mask: Brain mask of the same shape; everything if absent.
        bins: Number of histogram bins, at least 2; the threshold is the centre of one.

    Returns:
        The threshold; the score itself where all are equal.

    Raises:
        ValueError: If there are fewer than two bins, the shapes differ, or no score is inside.

    Reference:
        A threshold selection method from gray-level histograms (Otsu, 1979, eq. 14).
    """
    if bins < 2:
        raise ValueError(f"expected at least 2 bins, got {bins}")
    values = select_values(scores, mask).detach().cpu().double().numpy()
    if values.min() == values.max():
        return float(values[0])
    counts, edges = np.histogram(values, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = counts.cumsum()[:-1], counts[::-1].cumsum()[::-1][1:]
    mass = (counts * centres).cumsum()
    distance = mass[:-1] / below - (mass[-1] - mass[:-1]) / above
    return float(centres[np.argmax(below * above * distance**2)])


def healthy_threshold(values: Tensor, fpr: float) -> float:
    r"""Smallest threshold that at most a share ``fpr`` of healthy pixels exceeds.

    .. math:: \tau = \min \{ v : \#\{ a_i > v \} \le fpr \, N \} = a_{(N - \lfloor fpr \, N \rfloor)}

    Args:
        values: Scores :math:`a_i` of healthy pixels inside the brain, (N,).
        fpr: False-positive rate, in [0, 1).

    Raises:
        ValueError: If the rate is out of range or there is no finite score.
    """
    return order_statistic(select_values(values).sort().values, fpr)


def order_statistic(sorted_scores: Tensor, fpr: float) -> float:
    """Return the smallest of sorted scores (N,) that at most a share ``fpr`` of them exceeds."""
    check_rate(fpr)
    n = len(sorted_scores)
    exceedances = int(fpr * n)
    exceedances += (exceedances + 1) / n <= fpr  # fpr * n may round down just below a whole number
    exceedances -= exceedances / n > fpr
    return float(sorted_scores[n - 1 - exceedances])


def check_rate(fpr: float) -> None:
    """Refuse a false-positive rate outside [0, 1)."""
    if not 0 <= fpr < 1:
        raise ValueError(f"expected a false-positive rate in [0, 1), got {fpr}")
