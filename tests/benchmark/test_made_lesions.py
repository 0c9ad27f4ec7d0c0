"""Benchmarks of made lesions: which are made, what is pooled, and what parts and costs the rows have."""

import csv
from pathlib import Path

import pytest
import torch

from diffad.benchmark.config import BASELINES
from diffad.benchmark.run import run_benchmark
from diffad.benchmark.test_sets import TestSets
from diffad.data.corruptions import list_tasks
from diffad.data.lesions import KINDS
from diffad.data.slice_folder import load_slices
from diffad.distributed import Process
from diffad.evaluation.baselines import PCAResidual, ZScoreBaseline, raw_intensity
from diffad.evaluation.corrupted import corrupt_all, lesion_maker
from diffad.evaluation.metrics import RankCurve
from diffad.pipeline import AnomalyPipeline


def values_of(config, metric, protocol="lesioned"):
    """Values of a metric by method, seed and kind."""
    with (config.out / "results.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["figure"], r["protocol"]) == (metric, protocol)]
    return {(r["method"], int(r["seed"]), r["data"]): float(r["value"]) for r in rows}


@pytest.fixture
def lesioned(tiny):
    """Build the benchmark by the protocol that pools slices with lesions."""
    changes = ("protocols=[lesioned]", "resamples=0")
    return lambda *more: tiny(*changes, *more)


def test_pixels_of_slices_with_lesions_are_pooled_inside_the_brain(lesioned, slices):
    config = lesioned("methods=[]", "data.lesions={}")
    run_benchmark(config, Process())
    train, val, brain = load_slices(slices, 32)
    maps = {
        "raw intensity": raw_intensity,
        "z-score": ZScoreBaseline().fit(train, brain).score,
        "PCA 16": PCAResidual().fit(train, brain).score,
    }
    inside, found = brain.expand_as(val), values_of(config, "pixel_ap")
    dice = values_of(config, "oracle_dice")
    for seed in (0, 1):
        for kind, (x, y) in lesion_maker()(val, brain, seed).items():
            for label, anomaly_map in maps.items():
                curve = RankCurve.of(anomaly_map(x)[inside].numpy(), y[inside].numpy())
                assert found[label, seed, kind] == pytest.approx(curve.average_precision(), abs=1e-4)
                assert dice[label, seed, kind] == pytest.approx(curve.best_dice().dice, abs=1e-4)
    assert {kind for *_, kind in found} == {*KINDS, "mean"}


def test_model_is_scored_as_its_pipeline_maps_all_slices(lesioned, slices, model):
    config = lesioned("baselines=false", "seeds=[3]")
    run_benchmark(config, Process())
    _, val, brain = load_slices(slices, 32)
    pipe = AnomalyPipeline.from_pretrained(model)
    inside, found = brain.expand_as(val), values_of(config, "pixel_ap")
    for kind, (x, y) in lesion_maker("implanted", ["dark", "bright"])(val, brain, 3).items():
        for label, parts in {"plain": {}, "squared": {"score": {"name": "l2"}}}.items():
            maps = pipe(x, mask=inside, seed=3, **parts).anomaly_map
            curve = RankCurve.of(maps[inside].numpy(), y[inside].numpy())
            assert found[label, 3, kind] == pytest.approx(curve.average_precision(), abs=1e-4)


def test_noise_may_stay_while_lesions_change(lesioned, slices, model):
    spec = f"pipeline: {model}, parts: {{sampler: {{name: oneshot, levels: [60]}}}}"
    methods = f"[{{label: free, {spec}}}, {{label: still, {spec}, noise_seed: 7}}]"
    config = lesioned(f"methods={methods}", "baselines=false", "data.lesions={implanted: [dark]}")
    run_benchmark(config, Process())
    _, val, brain = load_slices(slices, 32)
    pipe, inside = AnomalyPipeline.from_pretrained(model), brain.expand_as(val)
    ap = values_of(config, "pixel_ap")
    for seed in (0, 1):
        x, y = lesion_maker()(val, brain, seed)["dark"]
        for label, noise_seed in (("free", seed), ("still", 7)):
            maps = pipe(
                x, mask=inside, seed=noise_seed, sampler={"name": "oneshot", "levels": [60]}
            ).anomaly_map
            curve = RankCurve.of(maps[inside].numpy(), y[inside].numpy())
            assert ap[label, seed, "dark"] == pytest.approx(curve.average_precision(), abs=1e-4)
        assert ap["free", seed, "dark"] != ap["still", seed, "dark"]


def test_parts_make_a_row_each_with_its_cost(lesioned, model):
    parts = "parts: {sampler: {name: oneshot, levels: [5, 9]}}"
    methods = f"[{{label: one, pipeline: {model}}}, {{label: two, pipeline: {model}, {parts}}}]"
    outcome = run_benchmark(lesioned(f"methods={methods}", "seeds=[0]"), Process())
    costs = {cost.method: cost for cost in outcome.costs}
    assert list(costs) == ["one", "two", *BASELINES]
    assert [costs[label].nfe for label in ("one", "two", "z-score")] == [1, 2, 0]
    weights = sum(p.numel() for p in AnomalyPipeline.from_pretrained(model).network.parameters())
    assert [costs[label].parameters for label in ("one", "two", "z-score")] == [weights, weights, 0]
    assert all(cost.seconds > 0 for cost in outcome.costs)


def test_same_pipeline_under_two_labels_has_the_same_values(lesioned, model):
    methods = f"[{{label: one, pipeline: {model}}}, {{label: two, pipeline: {model}}}]"
    config = lesioned(f"methods={methods}", "baselines=false")
    run_benchmark(config, Process())
    found = values_of(config, "pixel_ap")
    assert all(value == found["two", *key[1:]] for key, value in found.items() if key[0] == "one")
    assert {key[1] for key in found} == {0, 1}


def test_corruptions_asked_for_are_made_with_patches_of_training_slices(tiny, slices):
    config = tiny("data.lesions={corrupted: [blend, sink]}")
    train, val, brain = load_slices(slices, 32)
    expected = corrupt_all(val, brain, 1, ["blend", "sink"], list(train))
    sets = {s.name: s.read() for s in TestSets(config.data).list_sets(1)}
    assert list(sets) == ["healthy", "blend", "sink"]
    for task, (images, masks) in expected.items():
        assert torch.equal(torch.stack([item.scan for item in sets[task]]), images)
        truth = torch.stack([torch.from_numpy(item.truth) for item in sets[task]])
        assert torch.equal(truth, masks[:, 0])


def test_some_kinds_are_the_same_as_among_all(tiny):
    every, some = (
        {s.name: s.digest for s in TestSets(tiny(f"data.lesions={lesions}").data).list_sets(0)}
        for lesions in ("{}", "{implanted: [textured]}")
    )
    assert list(some) == ["healthy", "textured"]
    assert some == {name: every[name] for name in some}


def test_unknown_kind_is_named_with_those_there_are(tiny):
    with pytest.raises(ValueError, match=rf"corrupted lesions out of {', '.join(list_tasks())}, got dark"):
        TestSets(tiny("data.lesions={corrupted: [sink, dark]}").data).list_sets(0)


@pytest.mark.shared
@pytest.mark.slow
def test_naive_baselines_on_real_slices_are_neither_blind_nor_perfect(shared_dir, lesioned):
    folder = Path(shared_dir) / "data/ixi_t1_axial"
    config = lesioned("methods=[]", "seeds=[0]", "data.lesions={}", "data.size=64", f"data.slices={folder}")
    run_benchmark(config, Process())
    found = values_of(config, "pixel_ap")
    fitted = {key: ap for key, ap in found.items() if key[0] in ("z-score", "PCA 16")}
    assert all(0.1 < ap < 0.9 for ap in fitted.values())
    assert all(ap <= fitted[label, 0, "dark"] for (label, *_), ap in fitted.items())
    assert found["raw intensity", 0, "dark"] < 0.1 < found["raw intensity", 0, "bright"]
