"""Every example of the gallery runs from an empty folder and makes its picture, here in little."""

import re

import pytest
import torch
from PIL import Image

import diffad
from diffad.registry import MODELS, NOISES
from tests.helpers.cohorts import write_model
from tests.helpers.plugins import ROOT

SCRIPTS = sorted((ROOT / "docs" / "gallery").glob("*.py"))
PICTURES = ROOT / "docs" / "images" / "gallery"
QUICK = {"SPACING": "8.0", "STEPS": "2", "SLICES": "(11, 13)"}
"""Numbers of the scripts that cost time, and what they are here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gallery")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small model in the place of the shipped one, with thresholds."""
    stored = {"thresholds": {"0.01": 0.02}, "scans": 4, "pixels": 99}
    return write_model(tmp_path_factory.mktemp("small") / "m", settings={"calibration": stored})


def hasten(text):
    for name, value in QUICK.items():
        text = re.sub(rf"^{name} = .+$", f"{name} = {value}", text, flags=re.M)
    return text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs_and_makes_its_picture(script, folder, model, monkeypatch):
    real = diffad.AnomalyPipeline.from_pretrained
    shipped = {"ixi-t1-axial": model}
    monkeypatch.setattr(
        diffad.AnomalyPipeline,
        "from_pretrained",
        lambda name, **options: real(shipped.get(name, name), **options),
    )
    monkeypatch.setattr("diffad.models.pretrained.list_shipped_models", lambda: shipped)
    monkeypatch.chdir(folder)
    threads = torch.get_num_threads()
    with NOISES.scope(), MODELS.scope():
        exec(
            compile(hasten(script.read_text(encoding="utf-8")), script.name, "exec"), {"__name__": "__main__"}
        )
    torch.set_num_threads(threads)
    with Image.open(folder / f"{script.stem}.png") as picture:
        assert min(picture.size) > 150


def test_gallery_is_of_eight_short_scripts_with_small_pictures():
    assert len(SCRIPTS) == 8
    assert all(len(path.read_text().splitlines()) <= 60 for path in SCRIPTS)
    pictures = sorted(PICTURES.glob("*.png"))
    assert [path.stem for path in pictures] == [path.stem for path in SCRIPTS]
    assert sum(path.stat().st_size for path in pictures) < 1_000_000


def test_page_shows_every_script_and_its_picture():
    text = (ROOT / "docs/guide/gallery.md").read_text(encoding="utf-8")
    for script in SCRIPTS:
        assert f"<!-- file docs/gallery/{script.name} -->" in text
        assert f"(../images/gallery/{script.stem}.png)" in text
