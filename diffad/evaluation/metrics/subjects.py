"""The one cut of a set that is best for the mean Dice of its subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.metrics.thresholds import DiceThreshold, Overlap


def search_mean_dice(
    subjects: Sequence[tuple[ArrayLike, ArrayLike]], steps: int = 200, ties: str = ">"
) -> DiceThreshold:
    r"""Take the threshold at which the mean of the subjects' Dice is highest: an oracle on what it judges.

    .. math:: t^* = \arg\max_t \frac{1}{n} \sum_i \mathrm{Dice}(s_i > t, y_i)

    Candidates are order statistics of the scores of all lesions, as Dice changes fastest there; the lowest of
    equal ones wins. Subjects without a lesion say nothing.

    Args:
        subjects: Scores and truth of each subject, of one shape.
        steps: About how many candidates.
        ties: A voxel is flagged if its score is > (or >=) the threshold.

    Returns:
        The threshold, and the mean Dice there; NaN without a lesion.

    Raises:
        ValueError: If there is no step, or ``ties`` is neither ">" nor ">=".

    Reference:
        UAD-IMAG (Frotscher et al., 2025), which has a grid made by hand for each method.
    """
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    overlaps = [Overlap(scores, truth) for scores, truth in subjects]
    overlaps = [overlap for overlap in overlaps if len(overlap.lesion)]
    if not overlaps:
        return DiceThreshold(math.nan, math.nan)
    candidates = _list_candidates(overlaps, steps)
    if ties == ">":  # what lies at a candidate is flagged, too
        candidates = _find_below(overlaps, candidates)
    means = np.mean([overlap.dice(candidates, ties) for overlap in overlaps], axis=0)
    best = int(np.argmax(means))
    return DiceThreshold(float(candidates[best]), float(means[best]))


def _list_candidates(overlaps: Sequence[Overlap], steps: int) -> NDArray[Any]:
    scores = np.sort(np.concatenate([overlap.lesion for overlap in overlaps]))
    ranks = np.linspace(0, len(scores) - 1, min(steps, len(scores))).round().astype(np.int64)
    return np.unique(scores[ranks])


def _find_below(overlaps: Sequence[Overlap], candidates: NDArray[Any]) -> NDArray[Any]:
    """Give the next lower score of any subject for each candidate, and -inf below the lowest of all."""
    scores = np.unique(np.concatenate([overlap.scores for overlap in overlaps]))
    padded = np.concatenate([np.array([-np.inf], scores.dtype), scores])
    below: NDArray[Any] = padded[np.searchsorted(scores, candidates)]
    return below
