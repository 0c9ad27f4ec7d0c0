"""Thresholds as protocols choose them, against a loop over thresholds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.evaluation.metrics import thresholds as rules


def case(seed=0, n=2000, share=0.1):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return (rng.random(n) + 0.4 * truth).astype(np.float32), truth


def brute(scores, truth, at, ties):
    pred = scores > at if ties == ">" else scores >= at
    return 2 * (pred & truth).sum() / (pred.sum() + truth.sum())


def test_rules_take_what_they_say():
    scores, truth = case()
    every = np.unique(scores)
    best = max(brute(scores, truth, t, ">=") for t in every)
    assert rules.search_exact(scores, truth).dice == pytest.approx(best)
    assert rules.search_f1(scores, truth) == rules.search_exact(scores, truth)
    steps = np.sort(scores)[:: len(scores) // 200]
    expected = [brute(scores, truth, t, ">") for t in steps]
    found = rules.search_order(scores, truth)
    assert found.dice == pytest.approx(max(expected))
    assert found.threshold == pytest.approx(steps[int(np.argmax(expected))])
    grid = [brute(scores, truth, np.float32(t), ">") for t in rules.GRID]
    assert rules.search_grid(scores, truth).dice == pytest.approx(max(grid))
    assert max(expected) <= best
    assert max(grid) <= best
    with pytest.raises(ValueError, match="at least 200 scores"):
        rules.search_order(scores[:199], truth[:199])


def test_as_many_steps_as_scores_try_them_all():
    scores, truth = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 1])
    assert rules.search_order(scores, truth, steps=4) == (0.2, 1.0)


def test_halving_finds_a_single_peak_and_misses_the_better_of_two():
    x = np.arange(1, 101) / 100
    assert rules.search_bisection(x, x > 0.7) == (0.703125, 1.0)
    x = np.linspace(0, 1, 1001)
    truth = ((x > 0.05) & (x < 0.12)) | (x > 0.97)
    found = rules.search_bisection(x, truth)
    assert found.threshold == pytest.approx(0.96827, abs=1e-5)
    assert found.dice == pytest.approx(0.4580, abs=1e-4)
    assert rules.search_exact(x, truth).dice == pytest.approx(0.4651, abs=1e-4)


def test_halving_takes_the_lower_of_two_quarter_points_that_are_equally_good():
    scores = np.r_[np.full(50, 0.1), np.full(50, 1.0)]
    assert rules.search_bisection(scores, scores > 0.5, steps=1) == (0.25, 1.0)
    assert rules.search_bisection(scores, scores > 0.5, steps=2) == (0.125, 1.0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([0.01, 0.02, 0.05, 0.5]))
def test_healthy_cut_is_the_smallest_that_keeps_the_rate(seed, fpr):
    scores, _ = case(seed, 400)
    at = rules.search_healthy(scores, fpr).threshold
    assert (scores > at).mean() <= fpr
    assert (scores >= at).mean() > fpr


def test_healthy_grid_averages_the_rates_of_maps():
    maps = [np.full(100, 0.2), np.r_[np.full(90, 0.1), np.full(10, 0.5)]]
    assert rules.search_healthy_grid(maps, 0.05).threshold == pytest.approx(0.2)
    assert rules.search_healthy_grid(maps, 0.04).threshold == pytest.approx(0.5)
    with pytest.raises(ValueError, match="expected a threshold"):
        rules.search_healthy_grid([np.full(4, 2.0)], 0.01)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from([0.01, 0.05, 0.1, 0.25]))
def test_healthy_grid_takes_a_rate_that_is_met_exactly(seed, maps, fpr):
    flagged = round(100 * fpr)
    healthy = np.r_[np.full(100 - flagged, 0.1), np.full(flagged, 0.5)]
    shuffled = np.random.default_rng(seed).permuted(np.tile(healthy, (maps, 1)), axis=1)
    assert rules.search_healthy_grid(list(shuffled), fpr).threshold == 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_score_on_the_grid_does_not_exceed_its_threshold_in_either_precision(dtype):
    scores = (rules.GRID[::100] + 0).astype(dtype)
    found = rules.search_healthy_grid([scores], 0.5)
    assert found.threshold == 0.4
    assert (scores > found.threshold).mean() == 0.5


def test_healthy_rules_refuse_what_they_cannot_cut():
    for maps, fpr, message in (
        ([], 0.05, "at least one healthy map"),
        ([np.zeros(0)], 0.05, "at least one pixel"),
        ([np.array([0.1, np.nan])], 0.05, "finite"),
        ([np.zeros(3)], 1.0, "false-positive rate"),
    ):
        with pytest.raises(ValueError, match=message):
            rules.search_healthy_grid(maps, fpr)
    with pytest.raises(ValueError, match="false-positive rate"):
        rules.search_healthy([0.1], 1.0)


@pytest.mark.parametrize(
    "rule",
    [rules.search_exact, rules.search_order, rules.search_grid, rules.search_bisection, rules.search_f1],
)
def test_cut_without_lesions_is_nan_and_says_so(rule):
    with pytest.warns(RuntimeWarning, match="NaN"):
        found = rule(np.arange(300) / 300, np.zeros(300, bool))
    assert math.isnan(found.threshold)
    assert math.isnan(found.dice)


def test_options_out_of_range_are_refused():
    scores, truth = case(n=300)
    for rule in (rules.search_order, rules.search_bisection):
        with pytest.raises(ValueError, match="at least 1 step"):
            rule(scores, truth, 0)
    with pytest.raises(ValueError, match="at least one threshold"):
        rules.search_grid(scores, truth, [])
    with pytest.raises(ValueError, match="ties"):
        rules.search_grid(scores, truth, ties="<")


def test_ties_decide_whether_the_threshold_itself_is_flagged():
    scores, truth = np.array([0.1, 0.5, 0.5, 0.9]), np.array([0, 1, 1, 1])
    assert rules.search_grid(scores, truth, [0.5], ">=") == (0.5, 1.0)
    assert rules.search_grid(scores, truth, [0.5], ">") == (0.5, 0.5)
