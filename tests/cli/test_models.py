"""Models that are here, fetched, checked and published."""

import shutil

import pytest

from diffad.cli import main
from diffad.models.pretrained import list_shipped_models
from diffad.predict import model_hub
from tests.helpers.hub import serve_hub


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    with serve_hub(monkeypatch, tmp_path / "cache") as hub:
        monkeypatch.setattr(model_hub, "_list_cached_models", dict)
        yield hub


def test_list_is_a_table_of_what_models_say(capsys):
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert all(
        word in text for word in ("ixi-t1-axial", "MRI", "5.5 M weights", "cc-by-sa-3.0", "58 healthy")
    )


def test_path_is_the_folder(capsys):
    assert main(["models", "path", "ixi-t1-axial"]) == 0
    assert capsys.readouterr().out == f"{list_shipped_models()['ixi-t1-axial'].resolve()}\n"


def test_damage_shows_by_the_checksum(capsys, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(list_shipped_models()["ixi-t1-axial"], folder)
    assert main(["models", "check", str(folder)]) == 0
    weights = folder / "network" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert main(["models", "check", str(folder)]) == 1
    assert f"failed {folder}" in capsys.readouterr().err


def test_model_is_published_fetched_and_carried_away(hub, model, tmp_path, capsys):
    assert main(["models", "push", str(model), "lab/tiny", "--revision", "v1"]) == 0
    assert "published" in capsys.readouterr().out
    files = hub.repos["lab/tiny"]["v1"]
    assert "model_index.json" in files
    hub.write("lab/tiny", "v1", files | {"evil.py": b"raise SystemExit"})
    out = tmp_path / "carried"
    assert main(["models", "pull", "lab/tiny", "--out", str(out), "--revision", "v1"]) == 0
    assert f"use it with --model {out}" in capsys.readouterr().out
    assert not (out / "evil.py").exists()
    assert not any(path.is_symlink() for path in out.rglob("*"))
    assert main(["models", "check", str(out)]) == 0
    assert main(["models", "pull", "lab/tiny", "--out", str(out)]) == 1


def test_folder_that_is_no_model_is_not_published(hub, tmp_path, capsys):
    assert main(["models", "push", str(tmp_path), "lab/tiny"]) == 1
    assert hub.repos == {}
    assert "model_index.json" in capsys.readouterr().err


def test_model_that_is_not_here_is_named_with_the_way_to_fetch_it(capsys):
    assert main(["models", "path", "lab/tiny"]) == 1
    assert "diffad models pull lab/tiny" in capsys.readouterr().err


def test_model_that_the_hub_lacks_is_one_error(capsys):
    assert main(["models", "pull", "lab/none"]) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: lab/none: expected a model folder, a shipped name or a model on the hub")
    assert len(text.splitlines()) == 1
