"""Each published protocol against its own words in plain numpy."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from diffad.data.lesions import implant_all
from diffad.evaluation.protocols.evaluate import evaluate_samples
from diffad.evaluation.samples import Sample
from diffad.registry import PROTOCOLS
from tests.evaluation.conftest import scans


def images(n=4, size=12, seed=0, rim=1):
    """Maps of which every other one holds a lesion of 6, 3, 8 ... pixels."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        truth = np.zeros((size, size), bool)
        if i % 2 == 0:
            truth[4:6, 3 : 6 + i % 3] = True
        brain = np.zeros((size, size), bool)
        brain[rim : size - rim, rim : size - rim] = True
        scores = (0.7 * rng.random((size, size)) + 0.25 * truth).astype(np.float32)
        made.append(Sample(name=f"i{i}", subject=f"p{i}", scores=scores, truth=truth, brain=brain))
    return made


def volumes(n, shape, seed=0, rim=2):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        truth = np.zeros(shape, bool)
        truth[5:10, 5 : 10 + i, 1:4] = True
        brain = np.zeros(shape, bool)
        brain[rim:-rim, rim:-rim] = True
        noise = ndimage.uniform_filter(rng.random(shape), 3)
        scores = (noise + 0.25 * truth).astype(np.float32)
        made.append(Sample(f"v{i}-{seed}", f"p{i}-{seed}", scores, truth, brain, axis=2))
    return made


def flat(samples):
    return [np.concatenate([getattr(s, n).ravel() for s in samples]) for n in ("scores", "truth")]


def dice(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def precision_steps(scores, truth):
    """Average precision: precision at each distinct score, weighted by the recall gained there."""
    total, before = 0.0, 0.0
    for t in np.unique(scores)[::-1]:
        found = scores >= t
        recall = (found & truth).sum() / truth.sum()
        total += (recall - before) * (found & truth).sum() / found.sum()
        before = recall
    return total


def pairs(scores, truth):
    a, b = np.asarray(scores)[truth][:, None], np.asarray(scores)[~truth]
    return (a > b).mean() + (a == b).mean() / 2


def test_medianomaly_takes_the_best_of_200_order_statistics_and_mean_scores():
    samples = images()
    result = evaluate_samples(samples, PROTOCOLS.build("medianomaly", size=None), resamples=0)
    scores, truth = flat(samples)
    step = len(scores) // 200
    assert step == 2
    best = max(dice(scores > t, truth) for t in np.sort(scores)[::step])
    assert result.figures["dice"].value == pytest.approx(best)
    assert result.figures["oracle_dice"].value >= best
    assert result.figures["pixel_ap"].value == pytest.approx(precision_steps(scores, truth))
    means = np.array([s.scores.mean() for s in samples])
    sick = np.array([s.truth.any() for s in samples])
    assert result.figures["image_auroc"].value == pytest.approx(pairs(means, sick))
    assert [row["image_score"] for row in result.rows] == pytest.approx(list(means))


def test_medianomaly_scores_at_64_pixels():
    one, other = images(2, size=128)
    result = evaluate_samples([one, other], "medianomaly", resamples=0)
    scores, truth = [], []
    for s in (one, other):
        blocks = [s.scores[i::2, j::2].astype(np.float64) for i, j in product((0, 1), (0, 1))]
        scores.append(np.mean(blocks, axis=0).ravel())
        truth.append(s.truth[1::2, 1::2].ravel())
    ap = precision_steps(np.concatenate(scores), np.concatenate(truth))
    assert result.figures["pixel_ap"].value == pytest.approx(ap, abs=1e-5)


def test_bmad_takes_the_highest_score_and_aupro_to_a_third():
    samples = images()
    figures = evaluate_samples(samples, PROTOCOLS.build("bmad", size=None), resamples=0).figures
    scores, truth = flat(samples)
    peaks = np.array([s.scores.max() for s in samples])
    sick = np.array([s.truth.any() for s in samples])
    assert figures["image_auroc"].value == pytest.approx(pairs(peaks, sick))
    assert figures["pixel_auroc"].value == pytest.approx(pairs(scores, truth))
    assert figures["dice"].value == pytest.approx(max(dice(scores >= t, truth) for t in scores))
    fpr, pro = [0.0], [0.0]
    for t in np.unique(scores)[::-1]:
        fpr.append((scores[~truth] >= t).mean())
        pro.append(np.mean([(s.scores[s.truth] >= t).mean() for s in samples if s.truth.any()]))
    fine = np.linspace(0, 0.3, 200_001)
    x = np.interp(fine, fpr, pro)
    assert figures["aupro"].value == pytest.approx(np.trapezoid(x, fine) / 0.3, abs=1e-4)


def test_golden_map_of_the_aupro_definition():
    maps = np.round(np.arange(50) / 100, 2).reshape(2, 5, 5)
    maps[0][0, 0], maps[0][2, 2], maps[0][2, 3], maps[0][3, 2], maps[0][3, 3] = 0.9, 0.8, 0.7, 0.05, 0.6
    maps[0][4, 4], maps[1][0, 0], maps[1][4, 4] = 0.75, 0.95, 0.65
    truth = np.zeros((2, 5, 5), bool)
    truth[0, 0, 0] = truth[0, 2:4, 2:4] = True
    every = np.ones((5, 5), bool)
    samples = [Sample(f"{i}", f"{i}", maps[i], truth[i], every) for i in (0, 1)]
    figures = evaluate_samples(samples, PROTOCOLS.build("bmad", size=None), resamples=0).figures
    expected = {"pixel_auroc": 0.7888889, "pixel_ap": 0.4893582, "dice": 2 / 3, "aupro": 0.7824074}
    for name, value in expected.items():
        assert figures[name].value == pytest.approx(value, abs=1e-6), name
    assert figures["threshold"].value == pytest.approx(0.6)


def _pddpm_map(sample, layers):
    kept = np.zeros_like(sample.brain)
    for i, j, k in np.argwhere(sample.brain):
        near = [(a, b) for a, b in product(range(-layers, layers + 1), repeat=2) if abs(a) + abs(b) <= layers]
        inside = [0 <= i + a < kept.shape[0] and 0 <= j + b < kept.shape[1] for a, b in near]
        kept[i, j, k] = all(inside) and all(sample.brain[i + a, j + b, k] for a, b in near)
    padded = np.pad(np.where(kept, sample.scores, 0), 2, mode="symmetric")
    return np.median(sliding_window_view(padded, (5, 5, 5)), axis=(-3, -2, -1))


def _without_small(found, least):
    """Drop components whose own and enclosed voxels are fewer than ``least``."""
    labels, count = ndimage.label(found, np.ones((3, 3, 3)))
    kept = np.zeros_like(found)
    for k in range(1, count + 1):
        filled = ndimage.binary_fill_holes(labels == k, np.ones((3, 3, 3)))
        kept |= (labels == k) & (filled.sum() >= least)
    return kept


def test_pddpm_tunes_by_bisection_and_averages_over_volumes():
    shape = (28, 26, 6)
    samples, tuning = volumes(2, shape), volumes(2, shape, seed=1)
    result = evaluate_samples(samples, PROTOCOLS.build("pddpm", size=None), tuning=tuning, resamples=0)
    maps = [_pddpm_map(s, 26 // 25) for s in samples]
    a = np.concatenate([_pddpm_map(s, 1).ravel() for s in tuning])
    y = np.concatenate([s.truth.ravel() for s in tuning])
    low, high, best, at = 0.0, float(a.max()), -1.0, math.nan
    for _ in range(10):
        quarter, three = low + (high - low) / 4, low + 3 * (high - low) / 4
        left, right = dice(a > quarter, y), dice(a > three, y)
        d, t = (left, quarter) if left >= right else (right, three)
        best, at = (d, t) if d >= best else (best, at)
        middle = (low + high) / 2
        low, high = (low, middle) if left >= right else (middle, high)
    assert result.figures["threshold"].value == pytest.approx(at)
    dices = [dice(_without_small(m > at, 8), s.truth) for m, s in zip(maps, samples, strict=True)]
    assert result.figures["mean_dice"].value == pytest.approx(np.mean(dices))
    aps = [precision_steps(m.ravel(), s.truth.ravel()) for m, s in zip(maps, samples, strict=True)]
    assert result.figures["pixel_ap"].value == pytest.approx(np.mean(aps))
    inside = [m[s.brain].mean() for m, s in zip(maps, samples, strict=True)]
    assert [row["image_score"] for row in result.rows] == pytest.approx(inside)
    raw = PROTOCOLS.build("pddpm", size=None, pool_map="raw")
    rows = evaluate_samples(samples, raw, tuning=tuning, resamples=0).rows
    assert [row["image_score"] for row in rows] == pytest.approx([s.scores[s.brain].mean() for s in samples])
    assert [row["image_score"] for row in rows] != pytest.approx(inside)


def test_pddpm_erodes_by_a_25th_of_the_slice_and_drops_seven_voxels():
    brain = np.ones((50, 50, 5), bool)
    scores = np.zeros((50, 50, 5), np.float32)
    scores[10:12, 10:12, 1:3], scores[30:32, 30:32, 1:3], scores[31, 31, 2] = 1, 1, 0
    scores[:2, 20:30] = 1
    truth = np.zeros_like(brain)
    truth[10:12, 10:12, 1:3] = True
    one = Sample("a", "a", scores, truth, brain, axis=2)
    raw = PROTOCOLS.build("pddpm", size=None, median=1, threshold="fixed", fixed=0.5)
    row = evaluate_samples([one], raw, resamples=0).rows[0]
    assert (row["dice"], row["flagged"]) == (1.0, 8)


def test_kascenas_smooths_slices_in_the_mostly_brain_and_drops_twenty_voxels():
    samples = volumes(2, (16, 15, 5))
    result = evaluate_samples(samples, PROTOCOLS.build("kascenas", size=None), resamples=0)
    maps = []
    for s in samples:
        near = sliding_window_view(np.pad(s.brain, ((2, 2), (2, 2), (0, 0))), (5, 5), axis=(0, 1))
        kept = np.where(near.mean((-2, -1)) > 0.95, s.scores, 0)
        padded = np.pad(kept, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        maps.append(np.median(sliding_window_view(padded, (5, 5), axis=(0, 1)), axis=(-2, -1)))
    a, y = np.concatenate([m.ravel() for m in maps]), np.concatenate([s.truth.ravel() for s in samples])
    assert result.figures["pixel_ap"].value == pytest.approx(precision_steps(a, y))
    grid = np.arange(1000) / 1000
    best = grid[int(np.argmax([dice(a > t, y) for t in grid]))]
    assert result.figures["threshold"].value == pytest.approx(best)
    found = np.concatenate([_without_small(m > best, 21).ravel() for m in maps])
    assert result.figures["dice"].value == pytest.approx(dice(found, y))


def test_upd_takes_the_highest_score_in_the_brain_and_the_exact_best_dice():
    samples = images(6, seed=4)
    figures = evaluate_samples(samples, PROTOCOLS.build("upd", size=None), resamples=0).figures
    scores, truth = flat(samples)
    peaks = np.array([s.scores[s.brain].max() for s in samples])
    sick = np.array([s.truth.any() for s in samples])
    assert figures["image_auroc"].value == pytest.approx(pairs(peaks, sick))
    assert figures["image_ap"].value == pytest.approx(precision_steps(peaks, sick))
    assert figures["dice"].value == pytest.approx(max(dice(scores >= t, truth) for t in scores))
    assert figures["pixel_ap"].value == pytest.approx(precision_steps(scores, truth))


def test_upd_may_blur_each_slice():
    samples = images()
    blurred = evaluate_samples(samples, PROTOCOLS.build("upd", size=None, sigma=4), resamples=0)
    maps = [ndimage.gaussian_filter(s.scores, 4) for s in samples]
    scores, truth = np.concatenate([m.ravel() for m in maps]), flat(samples)[1]
    assert blurred.figures["pixel_ap"].value == pytest.approx(precision_steps(scores, truth))


def test_bercea_pools_slices_with_lesions_of_more_than_three_pixels_by_size():
    samples = images(8, seed=2)
    speck = np.zeros((12, 12), bool)
    speck[7, 2:5] = True
    small = Sample("speck", "speck", np.full((12, 12), 0.9, np.float32), speck, np.ones((12, 12), bool))
    protocol = PROTOCOLS.build("bercea", size=None, strata=(6, 8))
    figures = evaluate_samples([*samples, small], protocol, resamples=0).figures
    marked = [s for s in samples if s.truth.any()]
    scores, truth = flat(marked)
    grid = np.linspace(0, 1, 101).astype(np.float32)
    assert figures["dice"].value == pytest.approx(max(dice(scores > t, truth) for t in grid))
    assert figures["pixel_ap"].value == pytest.approx(precision_steps(scores, truth))
    sizes = [int(s.truth.sum()) for s in marked]
    for name, chosen in (
        ("small", lambda n: n <= 6),
        ("medium", lambda n: 6 < n <= 8),
        ("large", lambda n: n > 8),
    ):
        some = [s for s, n in zip(marked, sizes, strict=True) if chosen(n)]
        assert some
        assert figures[f"pixel_ap_{name}"].value == pytest.approx(precision_steps(*flat(some))), name


def test_diffad_calibrates_on_healthy_scans_and_scores_subjects_in_the_brain():
    samples = images(5, seed=3)
    tuning = [s for s in images(12, seed=9) if not s.truth.any()]
    result = evaluate_samples(samples, "diffad", tuning=tuning, resamples=0)
    figures = result.figures
    calm = np.sort(np.concatenate([s.scores[s.brain] for s in tuning]))
    allowed = int(0.01 * len(calm))
    cut = calm[-allowed - 1]
    assert figures["threshold"].value == pytest.approx(float(cut))
    found = [s.scores[s.brain] > cut for s in samples]
    truth = [s.truth[s.brain] for s in samples]
    assert figures["dice"].value == pytest.approx(dice(np.concatenate(found), np.concatenate(truth)))
    dices = [dice(p, y) for p, y in zip(found, truth, strict=True) if y.any()]
    assert figures["mean_dice"].value == pytest.approx(np.mean(dices))
    calm_found = [p for p, y in zip(found, truth, strict=True) if not y.any()]
    assert figures["healthy_voxels_flagged"].value == pytest.approx(np.mean([p.mean() for p in calm_found]))
    assert figures["healthy_scans_flagged"].value == pytest.approx(np.mean([p.any() for p in calm_found]))
    top = np.array([np.sort(s.scores[s.brain])[-1] for s in samples])  # 1 % of 100 pixels is the highest
    sick = np.array([y.any() for y in truth])
    assert figures["image_auroc"].value == pytest.approx(pairs(top, sick))
    scores = np.concatenate([s.scores[s.brain] for s in samples])
    assert figures["pixel_ap"].value == pytest.approx(precision_steps(scores, np.concatenate(truth)))


def test_diffad_adds_up_the_slices_of_a_subject():
    calm, marked = images(2, seed=7)[::-1], images(2, seed=8)
    pair = [Sample(s.name + "x", "one", s.scores, s.truth, s.brain) for s in marked]
    fixed = PROTOCOLS.build("diffad", threshold="fixed", fixed=0.6)
    figures = evaluate_samples([*pair, calm[0]], fixed, resamples=0).figures
    found = np.concatenate([s.scores[s.brain] > np.float32(0.6) for s in pair])
    truth = np.concatenate([s.truth[s.brain] for s in pair])
    assert figures["mean_dice"].value == pytest.approx(dice(found, truth))


def test_diffad_counts_lesions_and_measures_surfaces():
    truth = np.zeros((12, 12), bool)
    truth[2:5, 2:5] = truth[8:10, 8:10] = True
    scores = np.zeros((12, 12), np.float32)
    scores[2:5, 2:5] = scores[2:4, 9:11] = 1
    one = Sample("a", "a", scores, truth, np.ones((12, 12), bool), spacing=(2.0, 2.0))
    fixed = PROTOCOLS.build("diffad", threshold="fixed", fixed=0.5)
    result = evaluate_samples([one], fixed, resamples=0)
    row = result.rows[0]
    assert (row["lesions_found"], row["lesions_missed"], row["lesions_false"]) == (1, 1, 1)
    assert result.figures["lesion_recall"].value == 0.5
    assert result.figures["lesion_precision"].value == 0.5
    assert result.figures["lesion_f1"].value == 0.5
    rim = 8  # rim pixels of the 3 x 3 lesion, 4 of each 2 x 2 one
    assert result.figures["surface_dice"].value == pytest.approx(2 * rim / (2 * (rim + 4)))
    assert row["hd95"] > 4


def implanted(maps, kind="dark", seed=3):
    """Samples of made lesions of one kind, with the maps of a function, and their masks in the brain."""
    slices, brain = scans()
    x, y = implant_all(slices, brain, seed)[kind]
    inside, scores = brain[0, 0].numpy(), maps(x, y).numpy()
    pairs = enumerate(zip(scores, y.numpy(), strict=True))
    samples = [Sample(f"{i}_{kind}", f"p{i}", s[0], truth[0], inside) for i, (s, truth) in pairs]
    return samples, y[brain.expand_as(y)].float().mean().item()


def test_lesioned_gives_a_perfect_map_one_and_a_constant_map_the_prevalence():
    perfect, prevalence = implanted(lambda x, y: y.float())
    constant, _ = implanted(lambda x, y: torch.zeros_like(x))
    best, chance = (evaluate_samples(s, "lesioned", resamples=0).figures for s in (perfect, constant))
    assert [best[name].value for name in ("pixel_ap", "pixel_auroc", "oracle_dice")] == [1, 1, 1]
    assert chance["pixel_ap"].value == pytest.approx(prevalence, rel=1e-4)
    assert chance["pixel_auroc"].value == pytest.approx(0.5)
    assert chance["oracle_dice"].value == pytest.approx(2 * prevalence / (1 + prevalence), rel=1e-4)


def test_lesioned_counts_neither_pixels_outside_the_brain_nor_healthy_images():
    inner, _ = implanted(lambda x, y: x)
    outer, _ = implanted(lambda x, y: torch.where(scans()[1], x, 100.0))
    healthy = [replace(s, name=f"h{i}", truth=s.truth & False) for i, s in enumerate(inner)]
    results = [evaluate_samples(s, "lesioned", resamples=0).figures for s in (inner, outer, inner + healthy)]
    for name in ("pixel_ap", "pixel_auroc", "oracle_dice"):
        assert results[0][name] == results[1][name] == results[2][name]
    assert results[2]["samples"].value == 8


def test_lesioned_refuses_a_map_of_another_shape_by_name():
    message = r"0_dark: expected truth of shape \(40, 39\) like the map, got \(40, 40\)"
    with pytest.raises(ValueError, match=message):
        implanted(lambda x, y: x[..., :-1])
