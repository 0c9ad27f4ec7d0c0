"""diffusers finds our pipeline by name, whichever is imported first, and nothing is loaded early."""

import json
import os
import subprocess
import sys

import diffusers
import pytest
import torch
from diffusers import DiffusionPipeline

from diffad import AnomalyPipeline
from diffad.models.pretrained import ModelError
from tests.helpers.cohorts import write_model
from tests.helpers.plugins import ROOT


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("door") / "m")


FAKE = """
import sys, types


class Lazy(types.ModuleType):
    def __getattr__(self, name):
        raise AttributeError(name)


lazy = Lazy(__name__)
lazy.__path__, lazy.__spec__ = __path__, __spec__
sys.modules[__name__] = lazy
"""
"""A package that puts another object in its place while it is imported, as diffusers does, in no time."""


@pytest.mark.parametrize("first", ["diffad", "diffusers"])
def test_door_is_open_in_either_order_and_nothing_is_loaded_for_it(first, tmp_path):
    second = "diffusers" if first == "diffad" else "diffad"
    (tmp_path / "diffusers" / "pipelines").mkdir(parents=True)
    (tmp_path / "diffusers" / "__init__.py").write_text(FAKE)
    (tmp_path / "diffusers" / "pipelines" / "__init__.py").write_text("")
    code = f"""
import sys
import {first}
assert "{second}" not in sys.modules
import {second}
assert type(sys.modules["diffusers"]).__name__ == "Lazy"
assert "__getattr__" in vars(sys.modules["diffusers"])
assert not hasattr(sys.modules["diffusers"], "no_such_name")
assert not {{"diffad.pipeline", "torch"}} & set(sys.modules)
assert not any("Door" in type(finder).__name__ for finder in sys.meta_path)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr


def test_name_gives_the_class_and_other_names_nothing():
    assert diffusers.AnomalyPipeline is AnomalyPipeline
    assert not hasattr(diffusers, "NoSuchPipeline")
    assert not hasattr(diffusers.pipelines, "diffad.models.no_such_module")
    assert not hasattr(diffusers.pipelines, "os")


def test_folder_loads_by_the_door_of_diffusers(model):
    x = torch.rand(1, 1, 32, 32)
    pipe = DiffusionPipeline.from_pretrained(model)
    assert type(pipe) is AnomalyPipeline
    assert torch.equal(pipe(x).anomaly_map, AnomalyPipeline.from_pretrained(model)(x).anomaly_map)


def test_foreign_class_is_refused_at_that_door_too(model, tmp_path):
    values = json.loads((model / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(values | {"network": ["os", "system"]}))
    with pytest.raises(ModelError, match=r"network os\.system, which is not a registered part"):
        DiffusionPipeline.from_pretrained(tmp_path)
