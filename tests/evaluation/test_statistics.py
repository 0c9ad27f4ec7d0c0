"""Intervals, paired tests and ranks: closed forms, scipy, and coverage by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from diffad.evaluation import RankCurve
from diffad.evaluation.statistics import (
    cliques,
    compare_paired,
    friedman,
    holm,
    interval,
    mean_interval,
    pooled_interval,
    summarise_seeds,
)


def test_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(300):
        values = rng.normal(3, 1, 40)
        found = mean_interval([str(i) for i in range(40)], values, resamples=300, seed=seed)
        hits += found.low <= 3 <= found.high
    assert 0.90 <= hits / 300 <= 0.98


def test_rows_of_a_subject_move_together():
    rng = np.random.default_rng(0)
    per_subject = rng.normal(size=20)
    values = np.repeat(per_subject, 50)
    together = mean_interval([str(i // 50) for i in range(1000)], values)
    apart = mean_interval([str(i) for i in range(1000)], values)
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 4 * (apart.high - apart.low)


def test_fast_and_general_intervals_agree():
    rng = np.random.default_rng(1)
    subjects = [str(i // 3) for i in range(60)]
    values = rng.normal(size=60)
    fast = mean_interval(subjects, values, resamples=4000)
    low, high = interval(subjects, lambda rows: values[rows].mean(), resamples=4000)
    assert (fast.low, fast.high) == pytest.approx((low, high), abs=0.03)


def test_rows_without_a_value_do_not_count():
    found = mean_interval(["a", "b", "c"], [1, math.nan, 3])
    assert found.value == 2
    assert (found.low, found.high) == (1, 3)
    assert math.isnan(mean_interval(["a"], [math.nan]).value)
    assert math.isnan(mean_interval(["a", "a"], [1, 2]).low)


def test_pooled_intervals_are_those_of_the_pooled_metrics():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 20, (12, 200))
    truth = rng.random((12, 200)) < 0.1
    scores[truth] = np.minimum(scores[truth] + rng.integers(0, 8, truth.sum()), 19)
    pos, neg = (
        np.stack([np.bincount(s[m], minlength=20) for s, m in zip(scores, mask, strict=True)])
        for mask in (truth, ~truth)
    )
    found = pooled_interval(pos, neg, resamples=2000)

    def by_curve(metric):
        return interval(
            [str(i) for i in range(12)],
            lambda rows: metric(RankCurve.of(scores[rows], truth[rows])),
            resamples=2000,
        )

    for name, metric in {
        "pixel_ap": RankCurve.average_precision,
        "pixel_auroc": RankCurve.auroc,
        "best_dice": lambda curve: curve.best_dice().dice,
    }.items():
        assert found[name] == pytest.approx(by_curve(metric), abs=0.01)
    assert math.isnan(pooled_interval(pos[:1], neg[:1])["pixel_ap"][0])


def test_resamples_with_one_class_do_not_count():
    pos, neg = np.array([[0, 3], [0, 0]]), np.array([[5, 1], [5, 1]])
    low, high = pooled_interval(pos, neg, resamples=200)["pixel_ap"]
    assert 0 < low <= high <= 1


def test_every_flip_of_three_signs():
    a, b = {"x": 2.0, "y": 3.0, "z": 5.0}, {"x": 1.0, "y": 1.0, "z": 1.0}
    found = compare_paired(a, b)
    assert found.difference == pytest.approx(7 / 3)
    assert found.p_permutation == 2 / 8
    assert found.n == 3
    assert compare_paired(a, a).p_permutation == 1
    assert compare_paired(a, a).p_wilcoxon == 1
    with pytest.raises(ValueError, match="only of z"):
        compare_paired(a, {"x": 1.0, "y": 1.0})


def test_subjects_without_a_figure_are_left_out_of_every_test():
    a, b = {"x": 2.0, "y": 3.0, "z": 5.0, "gap": math.nan}, {"x": 1.0, "y": 1.0, "z": 1.0, "gap": 1.0}
    whole = compare_paired({k: a[k] for k in "xyz"}, {k: b[k] for k in "xyz"})
    assert compare_paired(a, b) == whole
    assert whole.p_permutation == 2 / 8
    none = compare_paired({"x": math.nan}, {"x": 1.0})
    assert none.n == 0
    assert math.isnan(none.p_permutation)


def test_flips_do_not_depend_on_the_unit():
    gaps = {str(i): float(i) for i in range(1, 7)}
    zero = dict.fromkeys(gaps, 0.0)
    tiny = {k: v * 1e-14 for k, v in gaps.items()}
    assert compare_paired(gaps, zero).p_permutation == compare_paired(tiny, zero).p_permutation == 2 / 64


def test_intervals_need_a_resample_and_a_level():
    with pytest.raises(ValueError, match="at least 1 resample, got 0"):
        interval(["a", "b"], lambda rows: 1.0, resamples=0)
    with pytest.raises(ValueError, match=r"level in \(0, 1\), got 1"):
        interval(["a", "b"], lambda rows: 1.0, level=1.0)


def test_random_flips_reject_as_often_as_they_should():
    rng = np.random.default_rng(0)
    p = [
        compare_paired(
            dict(enumerate(rng.normal(size=20))), dict(enumerate(rng.normal(size=20))), 400
        ).p_permutation
        for _ in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.1
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.9])[0] == 1
    assert math.isnan(holm([0.5, math.nan])[1])


def test_ranks_are_those_of_scipy_and_the_critical_difference_that_of_the_paper():
    rng = np.random.default_rng(0)
    table = {
        m: dict(enumerate(rng.normal(loc, 1, 30))) for m, loc in {"a": 1, "b": 0, "c": 0, "d": -1}.items()
    }
    found = friedman(table)
    expected = friedmanchisquare(*[list(v.values()) for v in table.values()])
    assert (found.statistic, found.p) == pytest.approx(tuple(expected))
    assert sum(found.ranks.values()) == pytest.approx(10)
    assert min(found.ranks, key=found.ranks.get) == "a"
    assert found.critical_difference == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 30)), abs=1e-3)
    with pytest.raises(ValueError, match="'b' for 3"):
        friedman({"a": {3: 1.0}, "b": {}})


def test_critical_difference_of_ten_methods_is_that_of_the_paper():
    table = {str(m): {str(s): float(m * s % 7) for s in range(9)} for m in range(10)}
    assert friedman(table).critical_difference == pytest.approx(3.164 * math.sqrt(10 * 11 / 54), abs=2e-3)


def test_ties_share_ranks():
    assert friedman({"a": {"s": 1.0}, "b": {"s": 1.0}, "c": {"s": 0.0}}).ranks == {"a": 1.5, "b": 1.5, "c": 3}


def test_cliques_are_the_largest_groups():
    ranks = {"d": 4.0, "a": 1.0, "b": 1.8, "c": 2.5}
    assert cliques(ranks, 1.0) == [["a", "b"], ["b", "c"]]
    assert cliques(ranks, 0.1) == []
    assert cliques(ranks, 9) == [["a", "b", "c", "d"]]


def test_spread_of_seeds():
    found = summarise_seeds([1.0, 2.0, 3.0, math.nan])
    assert (found.value, found.low, found.high) == (2, 1, 3)
    assert math.isnan(summarise_seeds([1.0]).low)
