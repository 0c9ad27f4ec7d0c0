"""Parts of one's own, on every way into the package."""

import json

import pytest
import yaml

from diffad.config import load
from tests.helpers.cohorts import brain, names, write, write_model
from tests.helpers.plugins import NETWORK, NOISE, run_module, write_plugin

SMALL = {"model": {"name": "plain"}, "noise": {"name": "signs", "chance": 0.4}}
TRAIN = {"steps": 2, "validate_every": 2, "checkpoint_every": 2, "batch_size": 2, "validate_items": 2}


def write_config(path, **changes):
    """A training that takes a second."""
    values = load("smoke", ["data.count=8", "space.size=16", "sampler.steps=1"]).to_dict()
    values |= {**SMALL, "train": values["train"] | TRAIN, "output": str(path.parent / "runs"), **changes}
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.slow
def test_command_knows_the_parts_of_a_plugin(tmp_path):
    file = write_plugin(tmp_path / "my_noise.py")
    run = run_module("diffad", "--plugin", "my_noise.py", "list", "noises", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "signs" in run.stdout
    assert "chance=0.5" in run.stdout
    without = run_module("diffad", "noise", "signs")
    assert (without.returncode, "--plugin FILE" in without.stderr) == (1, True)
    assert run_module("diffad", "noise", "signs", "--size", "16", "--plugin", file).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "nowhere.py",
            "error: {folder}/nowhere.py: expected a Python file that registers parts, found",
        ),
        ("broken.py", "error: {folder}/broken.py: expected a plug-in that can be imported, found NameError"),
        ("no_such_module", "error: no_such_module: expected a plug-in that can be imported, found ModuleNot"),
    ],
)
@pytest.mark.parametrize("module", ["diffad", "diffad.training", "diffad.benchmark"])
def test_plugin_that_cannot_be_used_is_one_error_in_one_line(tmp_path, module, source, message):
    write_plugin(tmp_path / "broken.py", "undefined\n")
    words = ["list"] if module == "diffad" else ["smoke"]
    run = run_module(module, "--plugin", source, *words, cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith(message.format(folder=tmp_path))
    assert run.stderr.count("\n") == 1


@pytest.mark.slow
def test_part_that_is_claimed_twice_is_shown_and_costs_no_other(tmp_path):
    file = write_plugin(tmp_path / "greedy.py", NOISE.replace("signs", "gaussian"))
    run = run_module("diffad", "--plugin", file, "list", "noises")
    assert run.returncode == 0, run.stderr
    assert "claimed twice" in run.stdout
    assert "simplex" in run.stdout
    noise = run_module("diffad", "--plugin", file, "noise", "gaussian", "--size", "16")
    assert noise.returncode == 1
    assert "error: noise 'gaussian' is claimed twice, by " in noise.stderr
    assert str(file) in noise.stderr
    assert run_module("diffad", "--plugin", file, "noise", "pyramid", "--size", "16").returncode == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A pipeline of a network and a noise of one's own, trained from a folder that has nothing of them."""
    root = tmp_path_factory.mktemp("trained")
    write_plugin(root / "parts.py", NOISE + NETWORK)
    config = write_config(root / "config.yaml", plugins=["parts.py"])
    run = run_module("diffad.training", config, cwd=tmp_path_factory.mktemp("elsewhere"))
    assert run.returncode == 0, run.stderr
    return root


@pytest.mark.slow
def test_network_of_a_plugin_is_trained_saved_and_loaded_in_another_process(trained, tmp_path):
    scan = write(tmp_path / "scan.nii.gz", brain())
    words = [scan, "--model", trained / "runs/smoke/pipeline", "--out", tmp_path / "out"]
    run = run_module("diffad.predict", "--plugin", trained / "parts.py", *words)
    assert run.returncode == 0, run.stderr
    assert "scan_anomaly.nii.gz" in names(tmp_path / "out")


@pytest.mark.slow
def test_pipeline_says_which_part_is_missing_and_what_brings_it(trained, tmp_path):
    scan = write(tmp_path / "scan.nii.gz", brain())
    words = ["predict", scan, "--model", trained / "runs/smoke/pipeline", "--out", tmp_path / "out"]
    run = run_module("diffad", *words)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "network 'plain', which is not a registered part" in run.stderr
    assert "--plugin FILE" in run.stderr
    assert not (tmp_path / "out").exists()
    network = write_plugin(tmp_path / "network.py", NETWORK)
    run = run_module("diffad", "--plugin", network, *words)
    assert run.returncode == 1
    assert "unknown noise 'signs'" in run.stderr
    assert "--plugin FILE" in run.stderr


@pytest.mark.slow
def test_code_in_a_model_folder_is_never_run(trained, tmp_path):
    index = trained / "runs/smoke/pipeline/model_index.json"
    assert "plugins" not in json.loads(index.read_text())
    folder = write_model(tmp_path / "model")
    trap = write_plugin(folder / "trap.py", f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    values = json.loads((folder / "model_index.json").read_text())
    values["provenance"] = {"plugins": [str(trap)]}
    (folder / "model_index.json").write_text(json.dumps(values))
    scan = write(tmp_path / "scan.nii.gz", brain())
    words = ["predict", scan, "--model", folder, "--out", tmp_path / "out"]
    run = run_module("diffad", *words)
    assert run.returncode == 0, run.stderr
    (folder / "model_index.json").write_text(json.dumps(values | {"plugins": [str(trap)]}))
    run = run_module("diffad", *words, "--overwrite")
    assert run.returncode == 1
    assert "expected keys of a pipeline, found 'plugins'" in run.stderr
    assert not (tmp_path / "sprung").exists()


@pytest.mark.slow
def test_benchmark_hands_its_plugins_to_the_processes_it_starts(tmp_path, slices):
    write_plugin(tmp_path / "noise_part.py", NOISE)
    write_plugin(tmp_path / "network_part.py", NETWORK)
    data = {"name": "images", "root": str(slices)}
    config = write_config(tmp_path / "config.yaml", data=data)
    methods = [{"label": "mine", "train": str(config)}]
    benchmark = {"name": "tiny", "data": {"slices": str(slices), "size": 16}, "methods": methods}
    benchmark |= {"baselines": False, "resamples": 10, "output": str(tmp_path / "out")}
    benchmark |= {"plugins": ["noise_part.py"]}
    (tmp_path / "tiny.yaml").write_text(json.dumps(benchmark))
    words = ["--plugin", tmp_path / "network_part.py", tmp_path / "tiny.yaml"]
    run = run_module("diffad.benchmark", *words)
    log = (tmp_path / "out/runs/mine.log").read_text()
    assert run.returncode == 0, run.stderr + log
    assert "mine" in (tmp_path / "out/results.csv").read_text()
    for name in ("network_part", "noise_part"):
        assert f"--plugin {tmp_path / name}.py" in log


@pytest.mark.slow
def test_part_by_decorator_and_by_entry_point_leaves_every_command_alone(tmp_path):
    write_plugin(tmp_path / "plugged.py", NOISE)
    about = tmp_path / "plugged-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    points = "[diffad.noises]\nsigns = plugged:SignNoise\nbroken = no_such_module:Part\n"
    (about / "entry_points.txt").write_text(points)
    run = run_module("diffad", "list", "noises", path=tmp_path)
    assert run.returncode == 0
    assert "chance=0.5" in run.stdout
    assert run.stderr == (
        "warning: noise 'broken' of plugged (no_such_module:Part) cannot be loaded:"
        " ModuleNotFoundError: No module named 'no_such_module'\n"
    )
    for words in (["--plugin", "plugged"], ["--plugin", tmp_path / "plugged.py"]):
        run = run_module("diffad", *words, "noise", "signs", "--size", "16", path=tmp_path)
        assert run.returncode == 0, run.stderr


@pytest.fixture
def slices(tmp_path):
    """A few slices to learn from and to test on."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for index in range(8):
        path = tmp_path / "slices" / ("train" if index < 4 else "val") / f"sub-{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(90, 160, (16, 16)).astype(np.uint8)).save(path)
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(tmp_path / "slices/brain_mask.png")
    return tmp_path / "slices"
