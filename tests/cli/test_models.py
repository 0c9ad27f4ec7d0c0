"""Models that are here, fetched, checked and published."""

import shutil

import pytest

from diffad.cli import main
from diffad.models.pretrained import list_shipped_models
from diffad.predict import model_hub


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch):
    monkeypatch.setattr(model_hub, "_list_cached_models", dict)


@pytest.fixture
def hub(monkeypatch, model, tmp_path):
    """The client of the hub: remembers what it is asked, and has one model."""
    calls = {}

    def answer(name):
        def call(*arguments, **options):
            calls[name] = (arguments, options)
            return str(model)

        return call

    for name in ("snapshot_download", "create_repo", "create_branch", "upload_folder"):
        monkeypatch.setattr(f"huggingface_hub.{name}", answer(name))
    return calls


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


def test_pull_takes_weights_and_settings_but_no_code(hub, tmp_path, capsys):
    out = tmp_path / "carried"
    assert main(["models", "pull", "someone/tiny", "--out", str(out), "--revision", "v1"]) == 0
    arguments, options = hub["snapshot_download"]
    assert (arguments, options["revision"]) == (("someone/tiny",), "v1")
    assert not any(pattern.endswith(("py", "bin", "*")) for pattern in options["allow_patterns"])
    assert (out / "model_index.json").is_file()
    assert f"use it with --model {out}" in capsys.readouterr().out
    assert main(["models", "pull", "someone/tiny", "--out", str(out)]) == 1


def test_push_publishes_a_folder_as_it_is(hub, model, capsys):
    assert main(["models", "push", str(model), "someone/tiny", "--private", "--revision", "v1"]) == 0
    assert hub["create_repo"] == (("someone/tiny",), {"private": True, "exist_ok": True})
    assert hub["upload_folder"][1]["folder_path"] == str(model)
    assert "https://huggingface.co/someone/tiny" in capsys.readouterr().out


def test_folder_that_is_no_model_is_not_published(hub, tmp_path, capsys):
    assert main(["models", "push", str(tmp_path), "someone/tiny"]) == 1
    assert hub == {}
    assert "model_index.json" in capsys.readouterr().err


def test_model_that_is_not_here_is_named_with_the_way_to_fetch_it(capsys):
    assert main(["models", "path", "someone/tiny"]) == 1
    assert "diffad models pull someone/tiny" in capsys.readouterr().err


def test_hub_that_refuses_is_one_error(monkeypatch, capsys):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def refuse(*_, **__):
        raise LocalEntryNotFoundError("no connection\nmore")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    assert main(["models", "pull", "someone/tiny"]) == 1
    expected = "error: the hub cannot be reached, or refuses: no connection\n"
    assert capsys.readouterr().err == expected
