"""A benchmark makes its tables, reports what fails, and keeps to its folder and its budget."""

import csv
import math

import pytest
import torch

from diffad.benchmark import predict, storage
from diffad.benchmark.config import BASELINES
from diffad.benchmark.items import HEALTHY
from diffad.benchmark.run import run_benchmark, run_command
from diffad.benchmark.test_sets import TestSets
from diffad.config.schema import ConfigError
from diffad.distributed import Process
from diffad.evaluation.baselines import MedianResidual
from diffad.inference.median_filter import median_filter

SINGLE_PROCESS = Process()


def read_rows(out):
    with (out / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def quick(tiny):
    return lambda *changes: tiny("seeds=[0]", *changes)


def test_every_method_has_every_figure_of_every_kind_and_their_mean(tiny):
    outcome = run_benchmark(tiny(), SINGLE_PROCESS)
    ap_rows = [r for r in read_rows(tiny().out) if r["figure"] == "pixel_ap"]
    assert {r["method"] for r in ap_rows} == {"plain", "squared", *BASELINES}
    assert len(ap_rows) == (2 + len(BASELINES)) * 2 * 3
    for label in outcome.methods:
        for seed in ("0", "1"):
            values = {
                r["data"]: float(r["value"]) for r in ap_rows if (r["method"], r["seed"]) == (label, seed)
            }
            assert values["mean"] == pytest.approx((values["dark"] + values["bright"]) / 2)
    assert not outcome.failures
    assert set(outcome.subjects["diffad"]["plain"]) == {f"sub-{i}" for i in range(20, 24)}
    assert set(outcome.curves["plain"]) == {"roc", "pr", "dice"}
    assert all(path.is_file() for paths in outcome.thumbnails.values() for path in paths)
    assert all(len(outcome.thumbnails[label]) == 1 for label in outcome.methods)
    costs = {cost.method: cost for cost in outcome.costs}
    assert costs["plain"].nfe == 1
    assert costs["plain"].parameters > 0
    assert costs["PCA 16"].parameters == 0


def test_second_run_makes_nothing_and_writes_the_same_bytes(quick, monkeypatch):
    run_benchmark(quick(), SINGLE_PROCESS)
    before = (quick().out / "results.csv").read_bytes()
    monkeypatch.setattr(predict, "predict_unit", None)
    run_benchmark(quick(), SINGLE_PROCESS)
    assert (quick().out / "results.csv").read_bytes() == before


def test_missing_pipeline_is_reported_and_the_others_go_on(quick):
    config = quick("methods=[{label: absent, pipeline: nowhere/at/all}]")
    outcome = run_benchmark(config, SINGLE_PROCESS)
    assert "nowhere" in outcome.failures["absent"]
    assert {r["method"] for r in read_rows(config.out)} == set(BASELINES)


def test_failed_method_makes_the_command_fail(file):
    assert run_command(str(file), ["seeds=[0]", "methods=[{label: absent, pipeline: nowhere/at/all}]"]) == 1


@pytest.mark.slow
def test_failed_training_is_reported_and_the_others_go_on(quick):
    config = quick("methods=[{label: bad, train: smoke, set: [data.name=nothing]}]")
    assert "bad" in run_benchmark(config, SINGLE_PROCESS).failures


def test_method_over_its_budget_stops_after_the_unit_at_hand(quick):
    config = quick("budget.predict_seconds=1.0e-9")
    outcome = run_benchmark(config, SINGLE_PROCESS)
    assert set(outcome.failures) == set(config.labels)
    assert all("1e-09 s" in reason for reason in outcome.failures.values())
    maps = [p for p in (config.out / "maps" / "plain").rglob("*.safetensors")]
    assert len(maps) == 1
    assert not run_benchmark(quick(), SINGLE_PROCESS).failures


def test_training_budget_that_is_spent_trains_no_more(quick):
    train = "methods=[{label: slow, train: smoke, set: ['data={name: images, mask: brain_mask.png}']}]"
    config = quick(train, "budget.train_seconds=5.0", "baselines=true")
    (config.out / "runs").mkdir(parents=True)
    (config.out / "runs" / "slow.seconds").write_text("6.0")
    assert "more than its 5 s" in run_benchmark(config, SINGLE_PROCESS).failures["slow"]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("name=other", "expected name 'tiny', found 'other'"),
        ("data.size=40", "expected data {'size': 32}, found {'size': 40}"),
        ("methods=[]", "expected method 'plain', found none"),
    ],
)
def test_folder_of_another_benchmark_is_refused(quick, change, difference):
    run_benchmark(quick("methods=[{label: plain, pipeline: nowhere}]"), SINGLE_PROCESS)
    with pytest.raises(ConfigError, match="belongs to another benchmark") as error:
        run_benchmark(quick("methods=[{label: plain, pipeline: nowhere}]", change), SINGLE_PROCESS)
    assert difference in str(error.value)


def test_methods_seeds_and_protocols_may_be_added(quick, tiny, model):
    run_benchmark(quick(f"methods=[{{label: plain, pipeline: {model}}}]"), SINGLE_PROCESS)
    outcome = run_benchmark(tiny("protocols=[diffad, medianomaly]"), SINGLE_PROCESS)
    assert {(row.seed, row.protocol) for row in outcome.rows} == {
        (seed, p) for seed in (0, 1) for p in ("diffad", "medianomaly")
    }


def test_unknown_protocol_fails_before_anything_is_made(quick):
    with pytest.raises(LookupError, match="medianomaly"):
        run_benchmark(quick("protocols=[medianomali]"), SINGLE_PROCESS)
    assert not quick().out.exists()


def test_lesions_follow_from_the_seed_alone(quick):
    a, b = ({s.name: s.digest for s in TestSets(quick().data).list_sets(seed)} for seed in (0, 1))
    assert a == {s.name: s.digest for s in TestSets(quick().data).list_sets(0)}
    assert a[HEALTHY] == b[HEALTHY]
    assert a["dark"] != b["dark"]


def test_stored_maps_come_back_as_they_were(tmp_path):
    from diffad.benchmark.methods import Prediction

    maps = [torch.rand(3, 4), torch.rand(5, 4)]
    prediction = Prediction(maps, [], [m > 0.5 for m in maps], [0.1, math.pi], 2, 7, 0.25)
    storage.store_maps(tmp_path / "x.safetensors", prediction, {"fingerprint": "f"})
    copy = storage.load_maps(tmp_path / "x.safetensors")
    pairs = zip(maps + prediction.detections, copy.maps + copy.detections, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert (copy.scores, copy.nfe, copy.reconstructions) == (prediction.scores, 7, [])
    assert storage.check_state(tmp_path / "x.safetensors", "f") == "finished"
    assert storage.check_state(tmp_path / "x.safetensors", "g") == "other"


def test_median_residual_is_the_distance_from_the_median_slice():
    train = torch.rand(5, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    x = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    expected_map = (x - train.sort(0).values[2]).abs()
    baseline = MedianResidual(1).fit(train, torch.ones(1, 1, 9, 9, dtype=torch.bool))
    assert torch.equal(baseline.score(x), expected_map)
    assert torch.equal(
        MedianResidual(3).fit(train, torch.ones(1, 1, 9, 9)).score(x), median_filter(expected_map, 3)
    )
