import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from diffad.evaluation import RankCurve, auroc, average_precision, best_dice, dice, false_alarm_rate


@st.composite
def cases(draw):
    """Scores of few or many distinct values with truth of both classes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, levels = draw(st.integers(2, 300)), draw(st.sampled_from([1, 2, 5, 1000]))
    truth = rng.random(n) < draw(st.sampled_from([0.02, 0.5, 0.95]))
    truth[:2] = True, False
    scores = rng.integers(0, levels, n) / levels - draw(st.sampled_from([0, 0.5]))
    return scores.astype(draw(st.sampled_from([np.float32, np.float64]))), truth


@given(cases())
@settings(max_examples=80, deadline=None)
def test_curve_equals_scikit_learn(case):
    scores, truth = case
    curve = RankCurve.of(scores, truth)
    assert curve.auroc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert curve.average_precision() == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert curve.best_dice().dice == pytest.approx(f1.max(), abs=1e-12)


@given(cases())
@settings(max_examples=40, deadline=None)
def test_best_dice_is_reached_at_its_threshold_and_nowhere_beaten(case):
    scores, truth = case
    best = best_dice(scores, truth)
    assert dice(scores >= best.threshold, truth) == pytest.approx(best.dice, abs=1e-15)
    assert best.dice >= max(dice(scores >= t, truth) for t in np.unique(scores)) - 1e-15


@given(cases())
@settings(max_examples=20, deadline=None)
def test_dice_of_the_curve_is_that_of_what_each_threshold_cuts(case):
    scores, truth = case
    thresholds, values = RankCurve.of(scores, truth).dice_curve(20)
    assert (np.diff(thresholds) < 0).all()
    assert values == pytest.approx([dice(scores >= t, truth) for t in thresholds.astype(scores.dtype)])


@given(cases())
@settings(max_examples=20, deadline=None)
def test_order_of_pixels_does_not_matter(case):
    scores, truth = case
    order = np.random.default_rng(0).permutation(len(scores))
    assert auroc(scores[order], truth[order]) == auroc(scores, truth)
    assert average_precision(scores[order], truth[order]) == average_precision(scores, truth)


def test_perfect_and_inverted_rankings():
    truth = np.array([0, 0, 0, 1, 1])
    assert (auroc(truth, truth), average_precision(truth, truth), best_dice(truth, truth)) == (1, 1, (1, 1))
    assert auroc(1 - truth, truth) == 0


def test_constant_scores_know_nothing():
    truth = np.arange(10) < 3
    assert auroc(np.ones(10), truth) == 0.5
    assert average_precision(np.ones(10), truth) == pytest.approx(0.3)


def test_single_precision_is_stable_on_many_pixels():
    rng = np.random.default_rng(0)
    truth = rng.random(2_000_000) < 0.02
    scores = (rng.random(truth.size, dtype=np.float32) + 0.3 * truth.astype(np.float32)).astype(np.float32)
    single, double = RankCurve.of(scores, truth), RankCurve.of(scores.astype(np.float64), truth)
    assert single.auroc() == double.auroc()
    assert single.average_precision() == double.average_precision()
    assert single.best_dice() == double.best_dice()
    # uniform on [0, 1] against uniform on [.3, 1.3]: the AUROC is 1 - .7 ** 2 / 2
    assert single.auroc() == pytest.approx(0.755, abs=3e-3)


def test_half_precision_and_torch_tensors_are_taken():
    scores, truth = torch.tensor([0.1, 0.4, 0.35, 0.8], dtype=torch.float16), torch.tensor([0, 0, 1, 1])
    assert auroc(scores, truth) == 0.75


@pytest.mark.parametrize("metric", [auroc, average_precision, best_dice])
@pytest.mark.parametrize(("value", "kind"), [(0, "negatives"), (1, "positives")])
def test_one_class_is_not_a_number_and_warns(metric, value, kind):
    with pytest.warns(RuntimeWarning, match=f"is NaN: it needs both classes, got {kind} only"):
        result = metric([0.1, 0.2, 0.3], [value] * 3)
    assert np.isnan(result).all()


def test_bad_scores_and_truth_are_refused():
    with pytest.raises(ValueError, match="expected finite scores, got 2 of 3 that are not"):
        auroc([math.nan, math.inf, 0.0], [0, 1, 1])
    with pytest.raises(ValueError, match=r"expected truth of shape \(3,\) like scores, got \(2,\)"):
        auroc([0.1, 0.2, 0.3], [0, 1])
    with pytest.raises(ValueError, match="expected truth of 0 and 1, got other values such as 255"):
        auroc([0.1, 0.2, 0.3], [0, 255, 1])


def test_arguments_are_not_changed():
    scores, truth = np.array([0.5, 0.1, 0.9, 0.3]), np.array([True, False, True, False])
    before = scores.copy(), truth.copy()
    RankCurve.of(scores, truth).best_dice()
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(truth, before[1])


def test_dice_counts_the_overlap():
    assert dice([1, 1, 0, 0], [1, 0, 1, 0]) == 0.5
    assert dice([[1, 1]], [[True, True]]) == 1
    assert dice([1, 0], [0, 1]) == 0
    assert dice([0, 0], [0, 1]) == 0


def test_dice_of_nothing_is_not_a_number_unless_told():
    assert math.isnan(dice([0, 0], [0, 0]))
    assert dice([0, 0], [0, 0], empty=1.0) == 1


def test_false_alarms_are_counted_inside_the_mask():
    pred, mask = np.array([1, 1, 0, 0, 0]), np.array([0, 1, 1, 1, 1])
    assert false_alarm_rate(pred, mask) == 0.25
    assert false_alarm_rate(pred) == 0.4


def test_bad_masks_and_detections_are_refused():
    with pytest.raises(ValueError, match="at least one pixel"):
        false_alarm_rate([1, 0], [0, 0])
    with pytest.raises(ValueError, match="expected mask of shape"):
        false_alarm_rate([1, 0], [1, 1, 1])
    with pytest.raises(ValueError, match="expected pred of 0 and 1"):
        dice([0.5, 0.2], [0, 1])
