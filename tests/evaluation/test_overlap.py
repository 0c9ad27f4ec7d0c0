"""Counts, thresholds, pooling, lesions, surfaces, reliability, fidelity: by hand and by other libraries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from diffad.evaluation import (
    Counts,
    expected_calibration_error,
    hd95,
    lesion_wise,
    mae,
    pool,
    psnr,
    ssim,
    surface_dice,
)
from diffad.evaluation.metrics import cuts
from diffad.evaluation.metrics.fidelity import ssim_map
from diffad.evaluation.metrics.lesions import LesionCounts
from diffad.evaluation.metrics.reliability import reliability


def case(seed=0, n=2000, share=0.1):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return (rng.random(n) + 0.4 * truth).astype(np.float32), truth


def test_confusion_is_not_swapped():
    counts = Counts.of([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 1, 1, 0, 0, 0, 0])
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (1, 2, 3, 4)
    assert counts.precision() == 1 / 3
    assert counts.recall() == 1 / 4
    assert counts.fpr() == 2 / 6
    assert counts.dice() == 2 / 7


def test_counts_add_up_and_stay_inside():
    a, b = Counts.of([1, 0], [1, 1]), Counts.of([1, 0, 1], [0, 0, 1], inside=[1, 1, 0])
    assert a + b == Counts(1, 1, 1, 1)
    nothing = Counts.of([0, 0], [0, 0])
    assert math.isnan(nothing.dice())
    assert nothing.dice(empty=1.0) == 1
    assert math.isnan(nothing.precision())
    with pytest.raises(ValueError, match="0 and 1"):
        Counts.of([0, 255], [0, 1])
    with pytest.raises(ValueError, match="shape"):
        Counts.of([0, 1], [0, 1, 1])


def brute(scores, truth, at, ties):
    pred = scores > at if ties == ">" else scores >= at
    return 2 * (pred & truth).sum() / (pred.sum() + truth.sum())


def test_rules_take_what_they_say():
    scores, truth = case()
    every = np.unique(scores)
    best = max(brute(scores, truth, t, ">=") for t in every)
    assert cuts.exact(scores, truth).dice == pytest.approx(best)
    assert cuts.f1_adaptive(scores, truth) == cuts.exact(scores, truth)
    steps = np.sort(scores)[:: len(scores) // 200]
    expected = [brute(scores, truth, t, ">") for t in steps]
    found = cuts.order(scores, truth)
    assert found.dice == pytest.approx(max(expected))
    assert found.threshold == pytest.approx(steps[int(np.argmax(expected))])
    grid = [brute(scores, truth, np.float32(t), ">") for t in cuts.GRID]
    assert cuts.grid(scores, truth).dice == pytest.approx(max(grid))
    assert max(expected) <= best
    assert max(grid) <= best
    with pytest.raises(ValueError, match="at least 200 scores"):
        cuts.order(scores[:199], truth[:199])


def test_halving_finds_a_single_peak_and_misses_the_better_of_two():
    x = np.arange(1, 101) / 100
    assert cuts.bisection(x, x > 0.7) == (0.703125, 1.0)
    x = np.linspace(0, 1, 1001)
    truth = ((x > 0.05) & (x < 0.12)) | (x > 0.97)
    found = cuts.bisection(x, truth)
    assert found.threshold == pytest.approx(0.96827, abs=1e-5)
    assert found.dice == pytest.approx(0.4580, abs=1e-4)
    assert cuts.exact(x, truth).dice == pytest.approx(0.4651, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([0.01, 0.02, 0.05, 0.5]))
def test_healthy_cut_is_the_smallest_that_keeps_the_rate(seed, fpr):
    scores, _ = case(seed, 400)
    at = cuts.healthy(scores, fpr).threshold
    assert (scores > at).mean() <= fpr
    assert (scores >= at).mean() > fpr


def test_healthy_grid_averages_the_rates_of_maps():
    maps = [np.full(100, 0.2), np.r_[np.full(90, 0.1), np.full(10, 0.5)]]
    assert cuts.healthy_grid(maps, 0.05).threshold == pytest.approx(0.2)
    assert cuts.healthy_grid(maps, 0.04).threshold == pytest.approx(0.5)
    with pytest.raises(ValueError, match="expected a threshold"):
        cuts.healthy_grid([np.full(4, 2.0)], 0.01)


@pytest.mark.parametrize(
    ("how", "value"), [("mean", 4.5), ("max", 9), ("std", 8.25**0.5), ("percentile", 8.82), ("topk", 8.5)]
)
def test_pooling_of_ten_numbers(how, value):
    assert pool(np.arange(10), how, share=0.2) == pytest.approx(value)


def test_lesions_are_counted_by_size():
    truth, pred = np.zeros((40, 40)), np.zeros((40, 40))
    truth[0:2, 0:2] = 1  # small, touched at a corner only
    truth[10:20, 10:20] = 1  # medium, half found
    truth[20, 20] = 1  # joins it diagonally
    truth[0:25, 26:40] = 1  # large, missed
    pred[1, 1] = pred[10:15, 10:20] = pred[35, 35] = 1
    found = lesion_wise(pred, truth, strata=(71, 300))
    assert found == LesionCounts((1, 1, 0), (1, 1, 1), 1, 3)
    assert found.recall() == pytest.approx(2 / 3)
    assert found.recall("large") == 0
    assert found.precision() == pytest.approx(2 / 3)
    assert found.f1() == pytest.approx(4 / 6)
    assert lesion_wise(pred, truth, overlap=0.5).found == 0
    assert (found + found).total_by == (2, 2, 2)
    assert lesion_wise(pred, truth, spacing=(10, 10), strata=(71, 570)).total_by == (0, 1, 2)


def test_touching_by_corners_is_one_lesion_in_three_dimensions():
    truth = np.zeros((4, 4, 4))
    truth[0, 0, 0] = truth[1, 1, 1] = truth[3, 3, 3] = 1
    assert sum(lesion_wise(truth, truth).total_by) == 2
    empty = lesion_wise(truth * 0, truth * 0)
    assert math.isnan(empty.recall())
    assert math.isnan(empty.f1())


def boxes(shift, shape=(30, 30, 12)):
    a, b = np.zeros(shape, bool), np.zeros(shape, bool)
    a[5:15, 5:15, 3:8] = True
    b[5 + shift : 15 + shift, 5:15, 3:8] = True
    return a, b


def test_surfaces_of_a_shifted_box_are_as_far_apart_as_it_was_shifted():
    a, b = boxes(4)
    assert hd95(a, b) == pytest.approx(4)
    assert hd95(a, b, spacing=(0.5, 1, 3)) == pytest.approx(2)
    assert hd95(a, a) == 0
    assert surface_dice(a, a) == 1
    assert surface_dice(a, b, tolerance_mm=4) == 1
    assert surface_dice(a, b, tolerance_mm=1) < 1
    assert surface_dice(a, b, (0.2, 1, 1), tolerance_mm=1) == 1
    assert hd95(a[..., 4], b[..., 4]) == pytest.approx(4)


def test_empty_surfaces():
    a, empty = boxes(0)[0], np.zeros((30, 30, 12), bool)
    assert math.isnan(hd95(a, empty))
    assert math.isnan(hd95(empty, empty))
    assert surface_dice(a, empty) == 0
    assert math.isnan(surface_dice(empty, empty))


def test_reliability_by_hand():
    p, truth = [0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0]
    assert reliability(p, truth, 2) == pytest.approx(np.array([[0.1, 0, 2], [0.9, 0.5, 2]]))
    assert expected_calibration_error(p, truth, 2) == pytest.approx(0.25)
    rng = np.random.default_rng(0)
    honest = rng.random(50_000)
    assert expected_calibration_error(honest, rng.random(50_000) < honest) < 0.02
    assert expected_calibration_error(honest**3, rng.random(50_000) < honest) > 0.2
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        expected_calibration_error([2.0], [1])


@pytest.mark.parametrize("shape", [(24, 31), (12, 15, 9)])
def test_similarity_is_that_of_scikit_image(shape):
    rng = np.random.default_rng(0)
    x, y = rng.random(shape), rng.random(shape)
    mean, full = structural_similarity(x, y, data_range=1, full=True)
    assert ssim_map(x, y) == pytest.approx(full)
    inside = np.zeros(shape, bool)
    inside[tuple(slice(3, -3) for _ in shape)] = True
    assert ssim(x, y, inside) == pytest.approx(mean)


def test_fidelity_by_hand():
    x, y = np.full((8, 8), 0.5), np.zeros((8, 8))
    assert mae(x, y) == 0.5
    assert psnr(x, y) == pytest.approx(10 * math.log10(4))
    assert psnr(x, x) == math.inf
    assert ssim(x, x) == 1
    assert ssim(x, y) == pytest.approx(1e-4 / (0.25 + 1e-4))
    inside = np.zeros((8, 8), bool)
    with pytest.raises(ValueError, match="empty"):
        mae(x, y, inside)
