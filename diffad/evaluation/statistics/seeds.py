"""One metric over several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from diffad.evaluation.result import Metric


def summarise_seeds(values: Sequence[float]) -> Metric:
    r"""Return the mean over seeds, and mean minus and plus the standard deviation between them.

    .. math:: \bar v \pm \sqrt{\tfrac{1}{n - 1} \sum_k (v_k - \bar v)^2}

    This is the spread of seeds, not a confidence interval over subjects. Seeds that are NaN do not count;
    one seed alone has no spread.
    """
    numbers = [v for v in values if not math.isnan(v)]
    if not numbers:
        return Metric(math.nan)
    mean = float(np.mean(numbers))
    if len(numbers) < 2:
        return Metric(mean)
    spread = float(np.std(numbers, ddof=1))
    return Metric(mean, mean - spread, mean + spread)
