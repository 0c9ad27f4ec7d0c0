"""Folders of Stable Diffusion: which are loaded, which are refused, and that nothing is unpickled."""

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffad.models.folder import ModelError
from diffad.synthesise.stable_folder import (
    SAFETY,
    check_stable_folder,
    describe_stable_folder,
    is_stable_folder,
)
from diffad.synthesise.stable_model import load_stable_model

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
}
WEIGHTS = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}


@pytest.fixture
def hollow(tmp_path):
    """A folder whose files are empty: what is refused before anything is loaded."""
    for part, name in WEIGHTS.items():
        (tmp_path / "sd" / part).mkdir(parents=True)
        (tmp_path / "sd" / part / name).touch()
    for part in ("tokenizer", "scheduler"):
        (tmp_path / "sd" / part).mkdir()
    write_index(tmp_path / "sd")
    return tmp_path / "sd"


def write_index(folder, **changes):
    (folder / "model_index.json").write_text(json.dumps(INDEX | changes))


def test_whole_folder_passes(hollow):
    assert check_stable_folder(hollow) == (dict.fromkeys(WEIGHTS), [])
    assert is_stable_folder(hollow)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="expected a folder of Stable Diffusion, found nothing of that name"):
        check_stable_folder(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="found a file"):
        check_stable_folder(tmp_path / "file")
    with pytest.raises(ModelError, match=r"with model_index\.json, found none"):
        check_stable_folder(tmp_path)


@pytest.mark.parametrize("part", WEIGHTS)
def test_pickled_weights_alone_are_refused(hollow, part):
    weights = hollow / part / WEIGHTS[part]
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(
        ModelError, match=rf"{part}: expected weights as .*safetensors, found .*bin, which is pickled"
    ):
        check_stable_folder(hollow)


def test_pickles_beside_safetensors_are_left_alone(hollow):
    (hollow / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"never read")
    assert check_stable_folder(hollow)[0]["unet"] is None


def test_variant_of_the_weights_is_found(hollow):
    weights = hollow / "unet" / WEIGHTS["unet"]
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert check_stable_folder(hollow)[0] == {"unet": "fp16", "vae": None, "text_encoder": None}


def test_safety_checker_is_left_out_with_a_sentence(hollow):
    write_index(hollow, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    assert check_stable_folder(hollow)[1] == [SAFETY]
    write_index(hollow, safety_checker=[None, None])
    assert check_stable_folder(hollow)[1] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "StableDiffusionXLPipeline"}, "expected a StableDiffusionPipeline"),
        ({"_class_name": "FluxPipeline"}, "expected a StableDiffusionPipeline"),
        ({"unet": ["my_module", "Evil"]}, "expected unet to be a UNet2DConditionModel, found 'Evil'"),
        ({"text_encoder": None}, "expected text_encoder to be a CLIPTextModel, found None"),
    ],
)
def test_other_pipelines_are_refused(hollow, changes, message):
    write_index(hollow, **changes)
    with pytest.raises(ModelError, match=message):
        check_stable_folder(hollow)


def test_folder_without_a_tokenizer_is_refused(hollow):
    (hollow / "tokenizer").rmdir()
    with pytest.raises(ModelError, match="expected the folder tokenizer of Stable Diffusion, found none"):
        check_stable_folder(hollow)


def test_missing_package_is_said_with_how_to_install_it(hollow, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r'pip install "diffad\[text\]"'):
        load_stable_model(hollow)


def test_folder_is_loaded_as_it_was_written(stable_folder, stable):
    model = load_stable_model(stable_folder)
    assert model.tokenizer("a crack").input_ids == stable.tokenizer("a crack").input_ids
    with torch.no_grad():
        assert torch.equal(model.embed("a crack"), stable.embed("a crack"))
    assert type(model.scheduler).__name__ == "DDIMScheduler"
    assert model.list_levels(200, 0.3)[:2] == [297, 292]
    assert model.side == 64
    assert not any(p.requires_grad for p in model.unet.parameters())


def test_weights_of_half_precision_are_loaded_in_single(stable_folder, tmp_path):
    folder = shutil.copytree(stable_folder, tmp_path / "half")
    path = folder / "unet" / WEIGHTS["unet"]
    save_file(
        {k: v.half() for k, v in load_file(path).items()},
        path.with_name("diffusion_pytorch_model.fp16.safetensors"),
    )
    path.unlink()
    assert next(load_stable_model(folder).unet.parameters()).dtype == torch.float32


def test_missing_weight_is_refused(stable_folder, tmp_path):
    folder = shutil.copytree(stable_folder, tmp_path / "less")
    path = folder / "unet" / WEIGHTS["unet"]
    weights = load_file(path)
    del weights["conv_in.weight"]
    save_file(weights, path)
    with pytest.raises(ModelError, match="unet: expected"):
        load_stable_model(folder)


def test_damaged_weights_are_refused(stable_folder, tmp_path):
    folder = shutil.copytree(stable_folder, tmp_path / "damaged")
    path = folder / "vae" / WEIGHTS["vae"]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="vae: expected a AutoencoderKL, found files that do not load"):
        load_stable_model(folder)


def test_description_follows_the_weights(stable_folder, tmp_path):
    folder = shutil.copytree(stable_folder, tmp_path / "sd")
    before = describe_stable_folder(folder)
    assert before == describe_stable_folder(stable_folder)
    path = folder / "unet" / WEIGHTS["unet"]
    save_file({k: v + 1 for k, v in load_file(path).items()}, path)
    assert describe_stable_folder(folder) != before
