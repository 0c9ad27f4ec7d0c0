"""The threshold search of patched DDPM (Behrendt et al., 2023) against the recursion that was published."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffad.evaluation.metrics.thresholds import search_bisection


def dice(flagged, truth):
    return 2 * (flagged & truth).sum() / (flagged.sum() + truth.sum())


def search_recursively(scores, truth, low, high, steps, best=0.0, at=0.0):
    """Compare the quarter points: the better, of equal ones the lower, is remembered, its half searched."""
    if steps == 0:
        return at, best
    quarter, three = low + (high - low) * 0.25, low + (high - low) * 0.75
    middle = low + (high - low) * 0.5
    left, right = dice(scores > quarter, truth), dice(scores > three, truth)
    if left >= right:
        best, at = (left, quarter) if left >= best else (best, at)
        return search_recursively(scores, truth, low, middle, steps - 1, best, at)
    best, at = (right, three) if right >= best else (best, at)
    return search_recursively(scores, truth, middle, high, steps - 1, best, at)


# few values in binary fractions: ties of the quarter points are common, and thresholds are exact
PIXELS = st.lists(st.tuples(st.integers(0, 16), st.booleans()), min_size=2, max_size=60)


@given(PIXELS, st.integers(1, 12))
@example([(1, False)] * 5 + [(16, True)] * 5, 1)
@example([(1, True), (16, False)], 3)
@example([(0, True), (0, False)], 4)
@settings(deadline=None, max_examples=300)
def test_halving_is_the_published_search(pixels, steps):
    scores = np.array([value for value, _ in pixels]) / 16
    truth = np.array([lesion for _, lesion in pixels])
    if not truth.any():
        return
    expected = search_recursively(scores, truth, 0.0, float(scores.max()) or 1.0, steps)
    assert search_bisection(scores, truth, steps) == expected


@pytest.mark.parametrize("seed", range(8))
def test_halving_is_the_published_search_on_maps_without_ties(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(3000) < 0.1
    scores = rng.random(3000) + 0.3 * truth
    threshold, best = search_recursively(scores, truth, 0.0, float(scores.max()), 10)
    result = search_bisection(scores, truth)
    assert result.threshold == pytest.approx(threshold, abs=1e-12)
    assert result.dice == pytest.approx(best, abs=1e-12)
