"""Plug-ins are imported once, say clearly why they cannot be, and are never taken from a model."""

import json
import re
import sys
from contextlib import ExitStack

import numpy as np
import pytest
import torch
import yaml

from diffad.config import ConfigError, SpaceConfig, load, plugins
from diffad.config.plugins import (
    PluginError,
    list_plugins,
    load_argument_plugins,
    load_plugins,
    plugin_arguments,
    split_plugins,
)
from diffad.data.corruptions import corrupt, corrupt_batch, corrupt_codes
from diffad.data.items import DataError
from diffad.registry import DATASETS, DETECTORS, MODELS, NOISES, REGISTRIES, NameClashError
from tests.helpers.brains import brain
from tests.helpers.plugins import NOISE, ROOT, write_plugin


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch):
    """Forget afterwards what a test has registered and imported."""
    monkeypatch.setattr(plugins, "MODULES", {})
    with ExitStack() as scopes:
        for registry in REGISTRIES.values():
            scopes.enter_context(registry.scope())
        yield
    for name in [name for name in sys.modules if name.startswith(("diffad_plugin_", "noisy_module"))]:
        del sys.modules[name]


@pytest.fixture
def file(tmp_path):
    return write_plugin(tmp_path / "my_noise.py")


@pytest.fixture
def arrays(tmp_path):
    """A folder of slices as arrays, two of each subject."""
    for i in range(10):
        path = tmp_path / "arrays" / f"sub{i // 2}_{i % 2}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, brain(i, (20, 18, 3))[..., 1])
    return tmp_path / "arrays"


def test_file_brings_its_parts_and_names_itself_to_other_processes(file, capsys):
    load_plugins([str(file)])
    assert NOISES.build("signs", chance=0.2).chance == 0.2
    assert list_plugins() == [str(file)]
    assert plugin_arguments() == ["--plugin", str(file)]
    assert capsys.readouterr().err == ""


def test_file_is_imported_once_however_it_is_named(tmp_path, monkeypatch):
    file = write_plugin(tmp_path / "counted.py", NOISE + "\nopen('runs', 'a').write('x')\n")
    monkeypatch.chdir(tmp_path)
    load_plugins([str(file), "counted.py", "./counted.py"])
    load_plugins([str(file)])
    assert (tmp_path / "runs").read_text() == "x"
    assert list_plugins() == [str(file)]


def test_module_is_a_plugin_too(tmp_path, monkeypatch, capsys):
    write_plugin(tmp_path / "noisy_module.py")
    monkeypatch.syspath_prepend(tmp_path)
    load_plugins(["noisy_module", "noisy_module"])
    assert NOISES["signs"].__module__ == "noisy_module"
    assert plugin_arguments() == ["--plugin", "noisy_module"]
    assert capsys.readouterr().err == ""


def test_module_that_was_imported_before_is_no_reason_to_warn(tmp_path, monkeypatch, capsys):
    write_plugin(tmp_path / "noisy_module.py")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("noisy_module")
    load_plugins(["noisy_module"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_package_at_all", "ModuleNotFoundError: No module named 'no_such_package_at_all'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ],
)
def test_file_that_cannot_be_imported_is_one_line_that_names_it(tmp_path, text, reason):
    file = write_plugin(tmp_path / "broken.py", text)
    for _ in range(2):  # a second try says the same
        with pytest.raises(PluginError) as error:
            load_plugins([str(file)])
        expected = f"{file}: expected a plug-in that can be imported, found {reason}"
        assert str(error.value).startswith(expected)
        assert "\n" not in str(error.value)
    assert list_plugins() == []


@pytest.mark.parametrize("source", ["nowhere.py", "./folder/", "no_such_module_at_all"])
def test_what_is_not_there_is_named(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(PluginError, match=source.strip("./")):
        load_plugins([source])


def test_plugin_that_registers_nothing_is_a_warning(tmp_path, capsys):
    file = write_plugin(tmp_path / "idle.py", "import diffad.noise\nvalue = 1\n")
    load_plugins([str(file)])
    assert capsys.readouterr().err == (
        f"warning: {file}: registers no part of its own, so it brings no new name\n"
    )


def test_two_files_of_one_name_are_refused(tmp_path, file):
    (tmp_path / "other").mkdir()
    other = write_plugin(tmp_path / "other" / "my_noise.py", NOISE.replace("signs", "others"))
    with pytest.raises(PluginError, match=r"expected plug-ins of different names, found .*my_noise\.py, too"):
        load_plugins([str(file), str(other)])


def test_part_with_one_of_our_names_costs_that_name_only(tmp_path):
    file = write_plugin(tmp_path / "greedy.py", NOISE.replace("signs", "gaussian"))
    load_plugins([str(file)])
    with pytest.raises(NameClashError, match=rf"'gaussian' is claimed twice, .*gaussian\.py.*{file}"):
        NOISES["gaussian"]
    assert NOISES.build("simplex")
    assert {"gaussian", "simplex"} <= set(NOISES)


@pytest.mark.parametrize(
    ("words", "sources", "rest"),
    [
        (["--plugin", "a.py", "x"], ["a.py"], ["x"]),
        (["x", "--plugin=a.py", "--plugin", "b", "y=1"], ["a.py", "b"], ["x", "y=1"]),
        (["x", "--plugins", "y"], [], ["x", "--plugins", "y"]),
    ],
)
def test_plugins_may_stand_anywhere_on_a_command_line(words, sources, rest):
    assert split_plugins(words) == (sources, rest)


def test_option_without_a_value_is_an_error():
    with pytest.raises(PluginError, match="--plugin: expected a Python file or the name of a module"):
        load_argument_plugins(["x", "--plugin"])


@pytest.fixture
def config_file(file):
    """A training config beside a plug-in that it names, and whose noise it asks for."""
    values = {**load("smoke").to_dict(), "plugins": [file.name], "noise": {"name": "signs"}}
    path = file.with_name("config.yaml")
    path.write_text(yaml.safe_dump(values))
    return path


def test_config_names_plugins_beside_it(config_file, file, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    config = load(config_file)
    assert config.plugins == (str(file),)
    assert "signs" in NOISES
    assert config.to_dict()["plugins"] == [str(file)]


def test_command_line_names_plugins_from_where_it_is(config_file, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    other = write_plugin(tmp_path / "here" / "other.py", NOISE.replace("signs", "others"))
    monkeypatch.chdir(tmp_path / "here")
    assert load(config_file, ["plugins=[other.py]"]).plugins == (str(other),)
    assert {"others"} <= set(NOISES)
    assert "signs" not in NOISES


@pytest.mark.parametrize(
    ("value", "said"), [("my_noise.py", "expected a list"), ([3], "expected str, got 3")]
)
def test_plugins_that_are_no_list_of_names_are_refused(config_file, value, said):
    values = yaml.safe_load(config_file.read_text())
    config_file.write_text(yaml.safe_dump({**values, "plugins": value}))
    with pytest.raises(ConfigError, match=f"config key plugins: {said}"):
        load(config_file)
    assert list_plugins() == []


def test_config_without_plugins_says_nothing_of_them():
    assert "plugins" not in load("smoke").to_dict()


def test_benchmark_file_names_plugins_beside_it(file):
    from diffad.benchmark.config import load_benchmark

    path = file.with_name("tiny.yaml")
    path.write_text(json.dumps({"name": "tiny", "data": {"slices": "x"}, "plugins": [file.name]}))
    assert load_benchmark(path).plugins == (str(file),)
    assert "signs" in NOISES


def test_model_folder_names_no_plugins(tmp_path):
    from diffad.pipeline import AnomalyPipeline
    from tests.helpers.cohorts import write_model

    folder = write_model(tmp_path / "model")
    trap = write_plugin(folder / "trap.py", NOISE)
    index = folder / "model_index.json"
    values = json.loads(index.read_text()) | {"provenance": {"plugins": [str(trap)]}}
    index.write_text(json.dumps(values))
    (folder / "config.yaml").write_text(yaml.safe_dump({"plugins": [str(trap)]}))
    AnomalyPipeline.from_pretrained(folder)
    for name in ("model_index.json", "network/config.json"):
        values = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(values | {"plugins": [str(trap)]}))
        with pytest.raises(ValueError, match=f"{name}: expected .* found 'plugins'"):
            AnomalyPipeline.from_pretrained(folder)
        (folder / name).write_text(json.dumps(values))
    assert list_plugins() == []
    assert "signs" not in NOISES


@pytest.fixture
def examples(tmp_path):
    """The examples of CONTRIBUTING, each in a file of its own."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [write_plugin(tmp_path / f"part{number}.py", block) for number, block in enumerate(blocks)]


def test_examples_of_contributing_are_plugins_as_they_are(examples, capsys):
    load_plugins(map(str, examples))
    assert NOISES.build("checker", size=4).size == 4
    assert len(examples) == 7
    assert capsys.readouterr().err == ""


def test_network_of_contributing_answers_alike_alone_and_in_a_batch(examples):
    load_plugins(map(str, examples))
    network = MODELS.build("plain", in_channels=2, out_channels=1, width=4)
    x, labels = torch.randn(3, 2, 9, 7), torch.tensor([0, 5, 99])
    answer = network(x, labels)
    assert answer.shape == (3, 1, 9, 7)
    torch.testing.assert_close(network(x[1:2], labels[1:2])[0], answer[1])
    assert not torch.allclose(network(x, labels.flip(0)), answer)
    with pytest.raises(ValueError, match="expected an even width of at least 2, got 3"):
        MODELS.build("plain", width=3)


def test_corruption_of_contributing_damages_training_slices_and_codes_are_refused(examples):
    load_plugins(map(str, examples))
    x, brain = torch.rand(3, 1, 16, 12), torch.ones(3, 1, 16, 12, dtype=torch.bool)
    seeds = [torch.Generator().manual_seed(seed) for seed in range(3)]
    batch = corrupt_batch(x, brain, ["stripes"], 1.0, seeds)
    assert batch.label.tolist() == [1, 1, 1]
    assert torch.equal(batch.image[~batch.mask], x[~batch.mask])
    torch.testing.assert_close(batch.image, x * (1 - batch.strength.view(3, 1, 1, 1) * batch.mask).float())
    with pytest.raises(ValueError, match=r"\(cells, coarse\), found stripes"):
        corrupt_codes(x, brain.float(), ["stripes"], 1.0, seeds)
    image = corrupt(x[0], brain[0], "stripes", torch.Generator().manual_seed(1))
    torch.testing.assert_close(image.image, x[0] * (1 - image.params["strength"] * image.mask).float())


def test_data_set_of_contributing_keeps_the_promises_of_all(examples, arrays):
    load_plugins(map(str, examples))
    space = SpaceConfig(size=16)
    train, val = (DATASETS.build("arrays", root=str(arrays), split=s, space=space) for s in ("train", "val"))
    for data in (train, val):
        for i in range(len(data)):
            item, again = data[i], data[i]
            assert item.image.shape == item.mask.shape == (1, 16, 16)
            assert torch.equal(item.image, again.image)
            assert not item.image[item.mask == 0].any()
            assert 0.5 < item.image.max() <= 1
    subjects = [{data[i].subject for i in range(len(data))} for data in (train, val)]
    assert not subjects[0] & subjects[1]
    with pytest.raises(DataError, match="expected the split train or val, got 'test'"):
        DATASETS.build("arrays", root=str(arrays), split="test", space=space)
    with pytest.raises(DataError, match=r"expected arrays \(\.npy\), found none"):
        DATASETS.build("arrays", root=str(arrays / "none"), split="train", space=space)


def test_network_of_contributing_is_trained_on_its_data_set_with_its_noise(examples, arrays):
    from diffad.pipeline import AnomalyPipeline
    from diffad.training.run import train

    load_plugins(map(str, examples))
    words = [f"data={{name: arrays, root: {arrays}}}", "model={name: plain, width: 8}", "space.size=16"]
    words += ["noise={name: checker, size: 4}", "train.steps=2", "train.warmup=1", "train.validate_every=2"]
    folder = train(load("smoke", [*words, f"output={arrays.parent}"]))
    pipe = AnomalyPipeline.from_pretrained(folder)
    assert pipe.network.config.part == "plain"
    out = pipe(np.load(sorted(arrays.glob("*.npy"))[0]) / 255)
    assert out.anomaly_map.max() > 0
    assert "plain of" in repr(pipe)


def test_network_of_the_guide_is_a_plugin(tmp_path):
    text = (ROOT / "docs/guide/plugin.md").read_text(encoding="utf-8")
    network_block, detector_block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    load_plugins([str(write_plugin(tmp_path / "networks.py", network_block))])
    network = MODELS.build("mine", in_channels=2, width=4)
    assert network(torch.zeros(3, 2, 8, 8), torch.zeros(3)).shape == (3, 2, 8, 8)
    network.save_pretrained(tmp_path / "network")
    assert (tmp_path / "network" / "config.json").is_file()
    load_plugins([str(write_plugin(tmp_path / "detectors.py", detector_block))])
    detector, x = DETECTORS.build("smooth", in_channels=2), torch.rand(3, 2, 16, 16)
    assert detector.detect(x, torch.ones(3, 1, 16, 16)).map.shape == (3, 1, 16, 16)


def test_detector_of_the_guide_is_trained_and_loaded(tmp_path):
    from diffad.pipeline import AnomalyPipeline
    from diffad.training.run import train

    text = (ROOT / "docs/guide/plugin.md").read_text(encoding="utf-8")
    block = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    load_plugins([str(write_plugin(tmp_path / "detectors.py", block))])
    words = [
        "data={name: toy, size: 32, count: 4}",
        "space.size=32",
        "model={name: smooth}",
        "train.device=cpu",
    ]
    words += ["train.steps=2", "train.batch_size=2", "train.validate_every=2", "train.validate_items=2"]
    pipe = AnomalyPipeline.from_pretrained(train(load("ae", [*words, f"output={tmp_path}"])))
    assert pipe.supervision == "normal"
    assert pipe(torch.rand(1, 1, 32, 32)).anomaly_map.max() > 0
