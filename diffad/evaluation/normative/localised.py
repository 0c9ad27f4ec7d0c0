"""Hits and false alarms against boxes, as published."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from diffad.evaluation.metrics.ranking import check_binary, check_same_shape


class Localisation(NamedTuple):
    """One image.

    Args:
        tp: 1 if the anomaly was hit.
        fp: False alarms.
        f1: Harmonic mean of precision and recall.
    """

    tp: int
    fp: int
    f1: float


def measure_localisation(
    scores: ArrayLike, anomaly: ArrayLike, healthy: ArrayLike, threshold: float
) -> Localisation:
    r"""Score one map: a hit where more than a tenth of the anomaly is flagged.

    .. math:: FP = \left\lfloor \frac{\sum_{healthy} z}{\max(\sum_{anomaly} z, 1)} \right\rfloor

    with z the map where it reaches the threshold, else 0. False alarms are a ratio of masses cut to a whole
    number, so that maps of small values hardly ever have one: compare methods by other metrics, too.

    Args:
        scores: Anomaly map, (*S).
        anomaly: Boxes of the anomaly, (*S), 0 or 1.
        healthy: Healthy tissue, (*S), 0 or 1.
        threshold: Scores below it count as 0.

    Raises:
        ValueError: If shapes differ or a mask has other values.

    Reference:
        Evaluating normative representation learning (Bercea et al., Nat Commun 16:1624, 2025).
    """
    a = np.asarray(scores, dtype=np.float64)
    positive, negative = check_binary("anomaly", anomaly), check_binary("healthy", healthy)
    check_same_shape("scores", a, "anomaly", positive)
    check_same_shape("scores", a, "healthy", negative)
    z = np.where(a < threshold, 0.0, a)
    tp = int(np.count_nonzero(z[positive]) > 0.1 * np.count_nonzero(positive))
    fp = int(z[negative].sum() / max(z[positive].sum(), 1.0))
    precision = tp / max(tp + fp, 1)
    return Localisation(tp, fp, 2 * precision * tp / (precision + tp + 1e-8))
