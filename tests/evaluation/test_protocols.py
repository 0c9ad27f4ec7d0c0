"""Scoring a set by a protocol: thresholds, rows, slices, warnings."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from diffad.evaluation.protocols.evaluate import evaluate_samples
from diffad.evaluation.protocols.prepare import prepare_images
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.thresholds import assign_folds, fit_thresholds
from diffad.evaluation.samples import Sample
from diffad.registry import PROTOCOLS, UnknownNameError

PLAIN = Protocol("plain", regions=False)


def sample(name, scores, truth=None, **options):
    scores = np.asarray(scores, dtype=np.float32)
    truth = np.zeros(scores.shape, bool) if truth is None else np.asarray(truth, bool)
    options = {"subject": name, "brain": np.ones(scores.shape, bool)} | options
    return Sample(name=name, scores=scores, truth=truth, **options)


def healthy(name, seed, size=8):
    return sample(name, np.random.default_rng(seed).random((size, size)))


def sick(name, seed, size=8, raised=0.6):
    truth = np.zeros((size, size), bool)
    truth[2:4, 2:5] = True
    return sample(name, np.random.default_rng(seed).random((size, size)) + raised * truth, truth)


def cohort(n=4):
    return [*(sick(f"s{i}", i) for i in range(n)), *(healthy(f"h{i}", 100 + i) for i in range(n))]


def test_protocol_round_trips_through_plain_values():
    protocol = PROTOCOLS.build("bercea", size=[64, 32], empty=1.0)
    assert protocol.size == (64, 32)
    assert Protocol.from_options(protocol.to_dict()) == protocol


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_preset_refuses_an_unknown_option_and_suggests_one(name):
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        PROTOCOLS.build(name, medain=3)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_preset_says_what_it_is(name):
    protocol = PROTOCOLS.build(name)
    assert protocol.name == name
    assert protocol.summary.endswith(".")
    assert protocol.source


@pytest.mark.parametrize(
    "options",
    [{"fpr": 0.0}, {"median": 4}, {"aupro_limit": 2}, {"size": (0, 3)}, {"sigma": -1}, {"median_axes": 1}],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        replace(PLAIN, **options)


def test_a_choice_nobody_knows_is_refused_with_the_known():
    with pytest.raises(UnknownNameError, match="pooled"):
        replace(PLAIN, aggregate="pool")


def test_pooled_ap_and_auroc_count_pairs_of_pixels():
    samples = cohort(2)
    result = evaluate_samples(samples, PLAIN, resamples=0)
    a = np.concatenate([s.scores.ravel() for s in samples])
    y = np.concatenate([s.truth.ravel() for s in samples])
    assert result.figures["pixel_auroc"].value == pytest.approx((a[y][:, None] > a[~y]).mean())
    order = np.argsort(-a)
    precision = np.cumsum(y[order]) / np.arange(1, len(y) + 1)
    assert result.figures["pixel_ap"].value == pytest.approx(precision[y[order]].mean())
    assert set(result.curves) == {"roc", "pr", "dice"}


def test_oracle_threshold_cuts_as_exactly_with_either_comparison():
    above, at_least = (
        evaluate_samples(cohort(), replace(PLAIN, comparison=c), resamples=0).figures for c in (">", ">=")
    )
    assert above["dice"].value == at_least["dice"].value == above["oracle_dice"].value


def test_threshold_of_a_fold_comes_from_other_subjects_only():
    protocol = replace(PLAIN, threshold="healthy", tuned_on="tuning", fpr=0.1)
    samples = [healthy(f"h{i}", i) for i in range(6)]
    units = [u for s in samples for u in prepare_images(s, protocol)]
    fold = assign_folds(units, 3)
    assert sorted(fold.values()) == [0, 0, 1, 1, 2, 2]
    before = fit_thresholds(units, protocol, folds=3)
    for unit, at in zip(units, before, strict=True):
        others = np.concatenate([u.scores for u in units if fold[u.subject] != fold[unit.subject]])
        assert (others > np.float32(at)).mean() <= 0.1
        assert (others >= np.float32(at)).mean() > 0.1
    changed = [replace(units[0], scores=units[0].scores + 5), *units[1:]]
    after = fit_thresholds(changed, protocol, folds=3)
    same = [fold[u.subject] == fold[units[0].subject] for u in units]
    assert [a == b for a, b in zip(before, after, strict=True)] == same


def test_a_subject_with_two_scans_stays_in_one_fold():
    samples = [replace(healthy(f"h{i}-{k}", 10 * i + k), subject=f"h{i}") for i in range(4) for k in (0, 1)]
    result = evaluate_samples(
        samples, replace(PLAIN, threshold="healthy", tuned_on="tuning"), folds=2, resamples=0
    )
    by_subject = {}
    for row in result.rows:
        by_subject.setdefault(row["subject"], set()).add(row["threshold"])
    assert all(len(values) == 1 for values in by_subject.values())


def test_folds_do_not_depend_on_the_order_of_samples():
    units = [u for s in cohort() for u in prepare_images(s, PLAIN)]
    assert assign_folds(units, 3) == assign_folds(units[::-1], 3)


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match="folds"):
        evaluate_samples(cohort(), "diffad", folds=1)


def test_tuning_subjects_that_are_scored_too_are_named():
    samples = cohort()
    result = evaluate_samples(samples, "diffad", tuning=[samples[4]], resamples=0)
    assert any("choose the threshold too: h0" in w for w in result.warnings)


def test_without_threshold_only_its_figures_are_missing_and_a_warning_says_what_to_give():
    result = evaluate_samples(cohort(), "diffad", resamples=0)
    assert any("tuning samples or folds" in w for w in result.warnings)
    for name in ("dice", "mean_dice", "hd95", "threshold", "lesion_f1", "healthy_voxels_flagged"):
        assert math.isnan(result.figures[name].value), name
    for name in ("pixel_ap", "pixel_auroc", "aupro", "oracle_dice", "image_auroc"):
        assert not math.isnan(result.figures[name].value), name


def test_stored_detections_stand_in_for_a_threshold():
    samples = [replace(s, detected=s.scores > 0.9) for s in cohort()]
    stored = evaluate_samples(samples, "diffad", resamples=0)
    fixed = evaluate_samples(samples, PROTOCOLS.build("diffad", threshold="fixed", fixed=0.9), resamples=0)
    assert stored.figures["dice"] == fixed.figures["dice"]
    assert any("stored detections" in w for w in stored.warnings)


@pytest.mark.parametrize("name", list(PROTOCOLS))
@pytest.mark.parametrize("kind", ["sick", "healthy", "both"])
def test_every_preset_lives_with_any_mix_of_classes(name, kind):
    every = [replace(s, image_score=float(s.scores.max())) for s in cohort()]
    samples = {"sick": every[:4], "healthy": every[4:], "both": every}[kind]
    result = evaluate_samples(samples, PROTOCOLS.build(name, size=None), folds=2, resamples=20)
    assert len(result.rows) == len(samples)
    assert math.isnan(result.figures["image_auroc"].value) == (kind != "both")
    if kind == "healthy":
        assert math.isnan(result.figures["pixel_ap"].value)
        assert result.warnings


def test_one_class_is_told_and_not_a_crash():
    result = evaluate_samples(cohort()[:2], PLAIN, resamples=0)
    assert any("no healthy samples" in w for w in result.warnings)
    assert any("AUROC is NaN" in w for w in result.warnings)


def test_duplicate_names_are_told():
    twice = evaluate_samples([sick("a", 0), sick("a", 1), healthy("b", 2)], PLAIN, resamples=0)
    assert any("more than once: a" in w for w in twice.warnings)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        evaluate_samples([], PLAIN)


def test_what_the_map_does_not_say_outside_the_brain_counts_as_zero():
    whole = sick("a", 0)
    brain = np.zeros((8, 8), bool)
    brain[1:6, 1:6] = True
    blank, zero = (replace(whole, brain=brain, scores=np.where(brain, whole.scores, v)) for v in (np.nan, 0))
    everywhere = replace(PLAIN, where="all", pool_where="all")
    a, b = (evaluate_samples([s, healthy("b", 1)], everywhere, resamples=0).figures for s in (blank, zero))
    assert a["pixel_ap"] == b["pixel_ap"]
    assert not math.isnan(a["pixel_ap"].value)


def test_ignored_pixels_count_nowhere():
    one = sick("a", 0)
    ignored = np.zeros((8, 8), bool)
    ignored[0] = True
    loud = replace(one, scores=np.where(ignored, 9, one.scores).astype(np.float32), ignored=ignored)
    quiet = replace(one, brain=~ignored)
    a, b = (evaluate_samples([s, healthy("b", 1)], PLAIN, resamples=0).figures for s in (loud, quiet))
    assert a["pixel_ap"] == b["pixel_ap"]
    assert a["dice"] == b["dice"]


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_slices_of_a_volume_are_scored_as_images(axis):
    images = [sick("a", 0), healthy("b", 1), sick("c", 2)]
    stacked = {n: np.stack([getattr(s, n) for s in images], axis) for n in ("scores", "truth", "brain")}
    volume = Sample(name="v", subject="v", axis=axis, **stacked)
    sliced = replace(PLAIN, slices=True, regions=True, size=(4, 6), dice_aggregate="image")
    a = evaluate_samples([volume], sliced, resamples=0)
    b = evaluate_samples(images, sliced, resamples=0)
    assert [row["name"] for row in a.rows] == ["v#0", "v#1", "v#2"]
    for name, figure in b.figures.items():
        assert a.figures[name].value == pytest.approx(figure.value, nan_ok=True), name


def test_a_mean_over_images_needs_no_slicing_before():
    images = [sick("a", 0), sick("b", 1)]
    stacked = {n: np.stack([getattr(s, n) for s in images], 1) for n in ("scores", "truth", "brain")}
    by_image = replace(PLAIN, aggregate="image", dice_aggregate="image", threshold="fixed", fixed=0.8)
    a = evaluate_samples([Sample(name="v", subject="v", axis=1, **stacked)], by_image, resamples=0).figures
    b = evaluate_samples(images, by_image, resamples=0).figures
    assert a["pixel_ap"].value == pytest.approx(b["pixel_ap"].value)
    assert a["mean_dice"].value == pytest.approx(b["mean_dice"].value)


def test_slices_without_a_known_axis_are_refused():
    volume = sample("v", np.zeros((4, 4, 4)))
    with pytest.raises(ValueError, match="axis"):
        evaluate_samples([volume], "upd")
    assert evaluate_samples([volume], PLAIN, resamples=0).rows[0]["name"] == "v"


def test_samples_are_asked_for_once():
    class Lazy(Sequence):
        def __init__(self):
            self.asked = []

        def __len__(self):
            return 8

        def __getitem__(self, index):
            self.asked.append(index)
            return cohort()[index]

    lazy = Lazy()
    result = evaluate_samples(lazy, PLAIN, resamples=0)
    assert lazy.asked == list(range(8))
    assert result.figures == evaluate_samples(cohort(), PLAIN, resamples=0).figures


def test_intervals_hold_their_figures_and_follow_the_seed():
    a, b = (
        evaluate_samples(cohort(6), replace(PLAIN, regions=True), resamples=200, seed=3) for _ in range(2)
    )
    for name in ("pixel_ap", "pixel_auroc", "oracle_dice", "dice", "mean_dice", "image_auroc"):
        figure = a.figures[name]
        assert figure.low <= figure.value <= figure.high, name
        assert figure == b.figures[name]
    assert math.isnan(evaluate_samples(cohort(), replace(PLAIN, intervals=False)).figures["pixel_ap"].low)


def test_samples_too_small_for_the_resolution_are_left_out_and_told():
    brain = np.zeros((8, 8), bool)
    brain[0, 0] = True
    speck = sample("speck", np.ones((8, 8)), brain=brain)
    result = evaluate_samples([speck, *cohort()], replace(PLAIN, size=(4, 4)), resamples=0)
    assert len(result.rows) == 8
    assert any(w.startswith("speck: left out") for w in result.warnings)


def test_resized_samples_know_the_size_of_their_voxels():
    one = replace(healthy("a", 0), spacing=(1.0, 2.0))
    assert prepare_images(one, replace(PLAIN, size=(4, 16)))[0].edges == (2.0, 1.0)


def test_rules_agree_with_pixels_counted_one_by_one():
    samples = cohort()
    scores = np.concatenate([s.scores.ravel() for s in samples])
    truth = np.concatenate([s.truth.ravel() for s in samples])

    def dice(at, strict=True):
        found = scores > np.float32(at) if strict else scores >= np.float32(at)
        return 2 * (found & truth).sum() / (found.sum() + truth.sum())

    tried = {
        "f1": max(dice(t, strict=False) for t in scores),
        "order": max(dice(t) for t in np.sort(scores)[:: len(scores) // 200]),
        "grid": max(dice(t) for t in np.linspace(0, 1, 101)),
    }
    for rule, best in tried.items():
        found = evaluate_samples(samples, replace(PLAIN, threshold=rule), resamples=0)
        assert found.figures["dice"].value == pytest.approx(best), rule


def test_healthy_grid_takes_the_smallest_threshold_that_spares_healthy_maps():
    rule = replace(PLAIN, threshold="healthy_grid", tuned_on="tuning", fpr=0.05)
    others = [healthy("x", 50), healthy("y", 51)]
    at = evaluate_samples(cohort(), rule, tuning=others, resamples=0).figures["threshold"].value
    rates = [np.mean([(s.scores > np.float32(t)).mean() for s in others]) for t in np.linspace(0, 1, 101)]
    assert at == pytest.approx(np.linspace(0, 1, 101)[np.flatnonzero(np.array(rates) <= 0.05)[0]])


def test_empty_dice_is_left_out_or_what_the_protocol_says():
    samples = [sick("a", 0, raised=2.0), sample("b", np.zeros((8, 8)))]
    cut = replace(PLAIN, threshold="fixed", fixed=1.5)
    assert evaluate_samples(samples, cut, resamples=0).figures["mean_dice"].value == 1
    assert evaluate_samples(samples, replace(cut, empty=0.0), resamples=0).figures["mean_dice"].value == 0.5


def test_an_order_rule_with_too_few_pixels_is_told():
    result = evaluate_samples([sick("a", 0, size=6)], replace(PLAIN, threshold="order"), resamples=0)
    assert any("at least 200 scores" in w for w in result.warnings)
    assert math.isnan(result.figures["dice"].value)
