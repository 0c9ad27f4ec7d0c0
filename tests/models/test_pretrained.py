"""Models are found by name, and nothing foreign in a folder is loaded."""

import json
import os
import pickle
import re
import shutil

import pytest
import torch
from diffusers import DDPMScheduler
from safetensors.torch import load_file, save_file

from diffad import AnomalyPipeline
from diffad.models.pretrained import (
    ModelError,
    check_folder,
    check_weights,
    list_shipped_models,
    locate_model,
)
from diffad.models.unet2d import UNet2D
from tests.helpers.cohorts import write_model


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def model(original, tmp_path):
    """A model folder that a test may harm."""
    return shutil.copytree(original, tmp_path / "harmed")


def change_index(model, **changes):
    path = model / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_folder_is_found_by_text_and_by_path(original):
    assert locate_model(original) == locate_model(str(original)) == str(original)


@pytest.mark.parametrize("name", ["ixi-t9", "/nowhere/model", "./model", "~/model", "a/b/c"])
def test_unknown_name_lists_the_shipped_models(name):
    names = ", ".join(list_shipped_models()) or "none"
    with pytest.raises(OSError, match=f"^{re.escape(name)}: no such model folder; shipped models: {names}$"):
        AnomalyPipeline.from_pretrained(name)


def test_folder_without_an_index_raises(tmp_path):
    with pytest.raises(OSError, match=r"expected a pipeline folder with model_index\.json, found none"):
        AnomalyPipeline.from_pretrained(tmp_path)


def test_every_shipped_model_is_found_and_passes_its_own_checks():
    for name, folder in list_shipped_models().items():
        assert locate_model(name) == str(folder)
        check_folder(folder)
        pipe = AnomalyPipeline.from_pretrained(name)
        assert {p.dtype for p in pipe.network.parameters()} == {torch.float32}
        assert "_name_or_path" not in json.loads((folder / "model_index.json").read_text())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": ["os", "system"]}, r"network os\.system, which is not a registered part"),
        ({"network": ["diffusers", "UNet2DModel"]}, r"network diffusers\.UNet2DModel, which is not"),
        ({"network": ["diffad.models.unet2d", "UNet3D"]}, r"network diffad\.models\.unet2d\.UNet3D"),
        ({"network": []}, "network , which is not a registered part"),
        ({"network": None}, r"a model_index\.json without network and scheduler"),
        ({"scheduler": ["os", "system"]}, r"scheduler os\.system, which is not one of diffusers"),
        ({"scheduler": ["diffusers", "DiffusionPipeline"]}, r"scheduler diffusers\.DiffusionPipeline"),
        ({"scheduler": ["builtins", "EvilScheduler"]}, r"scheduler builtins\.EvilScheduler"),
    ],
)
def test_foreign_class_in_the_index_is_refused_before_it_is_imported(model, changes, message):
    change_index(model, **changes)
    with pytest.raises(
        ModelError, match=f"{model}: expected a model whose files fit together, found: {message}"
    ):
        AnomalyPipeline.from_pretrained(model)


def test_hub_download_is_looked_at_before_it_is_loaded(model, monkeypatch):
    change_index(model, network=["os", "system"])
    calls = []
    monkeypatch.setattr(
        AnomalyPipeline, "download", lambda name, **options: calls.append((name, options)) or str(model)
    )
    with pytest.raises(ModelError, match=r"os\.system"):
        AnomalyPipeline.from_pretrained("somebody/model", revision="main", torch_dtype=torch.float16)
    assert calls == [("somebody/model", {"use_safetensors": True, "revision": "main"})]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize(
    "name", ["diffusion_pytorch_model.bin", "pytorch_model.bin", "diffusion_pytorch_model.pt"]
)
def test_folder_with_pickled_weights_only_is_refused_unopened(model, name):
    (model / "network" / "diffusion_pytorch_model.safetensors").unlink()
    (model / "network" / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match=f"{model}: expected a model whose files fit together"):
        AnomalyPipeline.from_pretrained(model)


def harm_weights(model, how):
    path = model / "network" / "diffusion_pytorch_model.safetensors"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "narrow":
        save_file({k: v[:1] for k, v in load_file(path).items()}, path)
    elif how == "index":
        (model / "model_index.json").write_text("{")
    else:
        (model / "network" / "config.json").write_text("[")


@pytest.mark.parametrize("how", ["cut", "empty", "narrow", "index", "config"])
def test_damaged_model_is_one_clear_line(model, how):
    harm_weights(model, how)
    with pytest.raises(ModelError, match=f"^{model}: expected a model whose files fit together, found: .+$"):
        AnomalyPipeline.from_pretrained(model)


@pytest.mark.parametrize("kind", ["missing", "left over"])
def test_weights_of_another_architecture_are_refused(model, kind):
    path = model / "network" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    if kind == "missing":
        weights.pop("unet.conv_in.bias")
    else:
        weights["unet.surplus"] = torch.zeros(1)
    save_file(weights, path, metadata={"format": "pt"})
    message = "unet.conv_in.bias is missing" if kind == "missing" else "unet.surplus belongs to no layer"
    with pytest.raises(ModelError, match=f"expected weights of this architecture, found others: {message}"):
        AnomalyPipeline.from_pretrained(model)


def test_weights_that_fit_pass(original):
    check_weights(original / "network", AnomalyPipeline.from_pretrained(original).network)


def test_unknown_option_of_the_space_is_refused():
    with pytest.raises(ValueError, match=r"unknown config key 'space\.sise'; did you mean 'space\.size'"):
        AnomalyPipeline(UNet2D(channels=(8,), layers=1), DDPMScheduler(), space={"sise": 32})


@pytest.mark.parametrize(
    ("point", "finding"),
    [
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "with git lfs pull"),
        (lambda path: path.symlink_to("../.git/annex/objects/a/b/K/K"), "with git annex get or datalad get"),
        (os.mkfifo, "a named pipe"),
    ],
)
def test_weights_that_must_be_fetched_first_are_named(model, point, finding):
    path = next((model / "network").glob("*.safetensors"))
    path.unlink()
    point(path)
    with pytest.raises(
        (ModelError, OSError), match=rf"{path.name}: expected whole weights, found .*{finding}"
    ):
        AnomalyPipeline.from_pretrained(model)
