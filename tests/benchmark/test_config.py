"""A benchmark file says what it means, or what is wrong with it."""

import pytest

from diffad.benchmark.config import BASELINES, BenchmarkConfig, load_benchmark
from diffad.benchmark.train import find_dependencies, list_assignments, order_waves
from diffad.config import load as load_training
from diffad.config.schema import ConfigError, from_dict
from diffad.models.pretrained import list_shipped_models
from diffad.registry import GUIDANCES, NOISES, PROTOCOLS, SAMPLERS, SCORES

SLICES = {"name": "x", "data": {"slices": "data"}}


@pytest.mark.parametrize("name", ["benchmark_smoke", "configs/benchmark_ixi.yaml"])
def test_every_training_config_of_a_shipped_benchmark_can_be_read(name):
    config = load_benchmark(name, ["data.slices=elsewhere"])
    specs = [m for wave in order_waves(config) for m in wave]
    trainings = [load_training(m.train, list_assignments(m, config.data.slices, "runs")) for m in specs]
    assert [t.name for t in trainings] == [m.label for m in specs]
    assert {t.data["root"] for t in trainings} == {"elsewhere"}
    labels = {m.label for m in specs}
    assert all(find_dependencies(m) <= labels for m in specs)


@pytest.mark.parametrize("name", ["benchmark_shipped", "benchmark_methods", "benchmark_controls"])
def test_benchmark_of_trained_networks_names_those_there_are_and_parts_that_can_be_built(name):
    config, trained = load_benchmark(name), load_benchmark("benchmark_ixi")
    places = {f"{trained.output}/runs/{m.label}/pipeline" for m in trained.methods}
    registries = {"sampler": SAMPLERS, "score": SCORES, "guidance": GUIDANCES, "noise": NOISES}
    for method in config.methods:
        assert method.pipeline in {*places, *list_shipped_models()}
        for kind, part in method.parts.to_dict().items():
            assert part is None or registries[kind].build(**part)
    assert [PROTOCOLS.build(protocol).pixel_samples for protocol in config.protocols] == ["anomalous"]


def test_benchmark_of_sampling_tools_has_parts_that_can_be_built():
    config = load_benchmark("benchmark_tools")
    students = {f"runs/{name}/pipeline" for name in ("state", "consistency", "beside")}
    assert {m.pipeline for m in config.methods} == {*students, "ixi-t1-axial"}
    registries = {"sampler": SAMPLERS, "score": SCORES, "guidance": GUIDANCES}
    for method in config.methods:
        for kind, part in method.parts.to_dict().items():
            assert part is None or registries[kind].build(**part)


def test_plain_values_make_the_same_config_again(tiny):
    assert from_dict(BenchmarkConfig, tiny().to_dict()) == tiny()


def test_baselines_are_the_last_rows(tiny):
    assert tiny().labels == ["plain", "squared", *BASELINES]
    assert tiny("baselines=false").labels == ["plain", "squared"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": []}, "methods"),
        ({"data": {}}, "slices or root"),
        ({"data": {"slices": "x", "sise": 3}}, "data.size"),
        ({"methods": [{"label": "a"}]}, "either train or pipeline"),
        ({"methods": [{"label": "a/b", "pipeline": "p"}]}, "plain name"),
        ({"methods": [{"label": "a", "pipeline": "p"}] * 2}, "names used once"),
        ({"methods": [{"label": "PCA 16", "pipeline": "p"}]}, "names used once"),
        ({"baselines": False}, "a method"),
        ({"seeds": []}, "at least one"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(BenchmarkConfig, SLICES | change)


def test_networks_that_need_each_other_are_refused():
    methods = [
        {"label": a, "train": "smoke", "set": [f"train.network={{runs}}/{b}/pipeline"]}
        for a, b in ("ab", "ba")
    ]
    with pytest.raises(ConfigError, match="got a circle: a, b"):
        order_waves(from_dict(BenchmarkConfig, SLICES | {"methods": methods}))


def test_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_benchmark("nowhere.yaml")
