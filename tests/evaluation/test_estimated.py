"""The estimated cut beside the best one, and the protocol in which one cut serves a whole set."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffad.evaluation.metrics.subjects import search_mean_dice
from diffad.evaluation.protocols.evaluate import evaluate_samples
from diffad.evaluation.protocols.presets import PRESETS
from diffad.evaluation.samples import Sample
from diffad.registry import PROTOCOLS


def scan(name, seed, lesion=True, subject=None, shape=(10, 9, 8), gain=0.3):
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    if lesion:
        truth[3:6, 3 : 5 + seed % 3, 2:5] = True
    brain = np.zeros(shape, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    scores = (rng.random(shape) + gain * truth).astype(np.float32)
    return Sample(name, subject or name, scores, truth, brain, axis=2)


@pytest.fixture
def samples():
    return [scan(f"s{i}", i) for i in range(4)] + [scan(f"h{i}", 20 + i, lesion=False) for i in range(4)]


def dice(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def inside(samples, name):
    return np.concatenate([getattr(s, name)[s.brain] for s in samples])


def test_estimated_dice_is_that_of_the_cut_from_tuning_scans(samples):
    tuning = [scan(f"t{i}", 40 + i, lesion=False) for i in range(3)]
    protocol = PROTOCOLS.build("lesioned", tuned_on="tuning", threshold="grid")
    metrics = evaluate_samples(samples, protocol, tuning=tuning, resamples=0).figures
    calm = np.sort(inside(tuning, "scores"))
    cut = calm[-int(0.01 * len(calm)) - 1]
    lesioned = [s for s in samples if s.truth.any()]
    healthy = [s for s in samples if not s.truth.any()]
    assert metrics["estimated_threshold"].value == pytest.approx(float(cut))
    found = inside(lesioned, "scores") > cut
    assert metrics["estimated_dice"].value == pytest.approx(dice(found, inside(lesioned, "truth")))
    assert metrics["estimated_fpr"].value == pytest.approx((inside(healthy, "scores") > cut).mean())


def test_subjects_estimate_for_each_other_without_tuning_scans(samples):
    metrics = evaluate_samples(samples, "lesioned", resamples=0).figures
    assert 0 < metrics["estimated_dice"].value <= metrics["oracle_dice"].value
    assert 0 < metrics["estimated_fpr"].value < 0.05
    for a in samples:  # no scan is cut by its own scores
        loud = [replace(s, scores=s.scores + 5) if s is a else s for s in samples]
        changed = evaluate_samples(loud, "lesioned", resamples=0).figures
        assert a.truth.any() or changed["estimated_fpr"].value > 0.2


def test_nothing_is_estimated_without_healthy_scans(samples):
    metrics = evaluate_samples(samples[:4], "lesioned", resamples=0).figures
    assert math.isnan(metrics["estimated_dice"].value)
    assert math.isnan(metrics["estimated_fpr"].value)
    assert not math.isnan(metrics["oracle_dice"].value)


def test_cut_of_zeros_flags_all(samples):
    """A map of zeros: its only cuts flag everything or nothing, and the former has the better Dice."""
    silent = [replace(s, scores=np.zeros_like(s.scores)) for s in samples]
    figures = evaluate_samples(silent, "uadimag", folds=2, resamples=0).figures
    share = [s.truth[s.brain].mean() for s in samples if s.truth.any()]
    assert figures["oracle_mean_dice"].value == pytest.approx(np.mean([2 * p / (1 + p) for p in share]))
    assert figures["mean_dice"].value == pytest.approx(figures["oracle_mean_dice"].value)


def test_one_healthy_scan_says_nothing_of_itself(samples):
    """One of the two folds has nobody healthy to learn from, so the set has no estimate."""
    result = evaluate_samples(samples[:5], "lesioned", resamples=0)
    assert math.isnan(result.figures["estimated_dice"].value)
    assert not any("healthy samples" in warning for warning in result.warnings)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_protocol_but_the_stored_one_estimates(name, samples):
    figures = evaluate_samples(samples, PROTOCOLS.build(name), resamples=0, folds=2).figures
    assert ("estimated_dice" in figures) == (name != "stored")


def test_protocol_of_ours_has_the_same_cut(samples):
    figures = evaluate_samples(samples, "diffad", folds=2, resamples=0).figures
    assert figures["estimated_threshold"].value == figures["threshold"].value
    lesioned = [s for s in samples if s.truth.any()]
    assert figures["estimated_dice"].value == figures["dice"].value
    assert len(lesioned) == 4


def test_mean_of_subjects_is_not_that_of_pooled_voxels():
    """Two volumes with (P, T, TP) = (10, 10, 5) and (0, 10, 0)."""
    first, second = np.zeros((30,), bool), np.zeros((30,), bool)
    first[:10] = second[:10] = True
    maps = [np.zeros(30, np.float32), np.zeros(30, np.float32)]
    maps[0][5:15] = 1
    samples = [
        Sample(n, n, m.reshape(5, 6), y.reshape(5, 6), np.ones((5, 6), bool))
        for n, m, y in zip("ab", maps, (first, second), strict=True)
    ]
    protocol = PROTOCOLS.build("uadimag", threshold="fixed", fixed=0.5)
    figures = evaluate_samples(samples, protocol, resamples=0).figures
    assert figures["mean_dice"].value == pytest.approx(0.25)
    assert figures["dice"].value == pytest.approx(10 / 30)


def test_uadimag_cuts_each_fold_by_the_lesions_of_the_other(samples):
    result = evaluate_samples(samples, "uadimag", folds=2, resamples=0)
    figures = result.figures
    assert len({row["threshold"] for row in result.rows}) == 2
    assert 0 < figures["mean_dice"].value <= figures["oracle_mean_dice"].value
    grid = np.linspace(0, 1.4, 800, dtype=np.float32)
    lesioned = [s for s in samples if s.truth.any()]
    means = [np.mean([dice(s.scores[s.brain] > t, s.truth[s.brain]) for s in lesioned]) for t in grid]
    assert figures["oracle_mean_dice"].value == pytest.approx(max(means), abs=0.02)


def test_even_median_is_that_of_scipy():
    hot = scan("hot", 0, lesion=False)
    scores = np.zeros_like(hot.scores)
    scores[4, 4, 4] = 1
    alone = replace(hot, scores=scores)
    protocol = PROTOCOLS.build("uadimag", median=4, threshold="fixed", fixed=0.5)
    assert evaluate_samples([alone], protocol, resamples=0).figures["healthy_voxels_flagged"].value == 0
    lesioned = scan("lesion", 3)
    smooth = ndimage.median_filter(lesioned.scores, size=4)
    figures = evaluate_samples([lesioned], protocol, resamples=0).figures
    expected = dice(smooth[lesioned.brain] > 0.5, lesioned.truth[lesioned.brain])
    assert figures["dice"].value == pytest.approx(expected)


@pytest.mark.parametrize("choices", [{"median": 4}, {"median": 4, "median_axes": 3}, {"median": 0}])
def test_even_median_needs_volumes_and_a_repeated_edge(choices):
    with pytest.raises(ValueError, match=r"expected median an odd whole number, or any in volumes"):
        PROTOCOLS.build("lesioned", **choices)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.sampled_from([">", ">="]), st.booleans())
def test_best_mean_dice_is_reached_by_its_own_cut(seed, count, ties, coarse):
    rng = np.random.default_rng(seed)
    subjects = []
    for _ in range(count):
        scores = rng.random(40).astype(np.float32)
        scores = np.round(scores, 1) if coarse else scores
        truth = rng.random(40) < 0.3
        truth[0] = True
        subjects.append((scores, truth))
    best = search_mean_dice(subjects, 1000, ties)
    cut = np.float32(best.threshold)
    reached = np.mean([dice(s > cut if ties == ">" else s >= cut, y) for s, y in subjects])
    assert best.dice == pytest.approx(reached)
    for t in np.unique(np.concatenate([s for s, _ in subjects])):  # any cut at all is no better
        assert np.mean([dice(s >= t, y) for s, y in subjects]) <= best.dice + 1e-12


def test_mean_dice_needs_lesions_and_steps():
    assert math.isnan(search_mean_dice([(np.ones(3), np.zeros(3, bool))]).threshold)
    with pytest.raises(ValueError, match="at least one step, got 0"):
        search_mean_dice([(np.ones(3), np.ones(3, bool))], 0)
