"""A folder says what it is: to people by its card, to programs by preprocessing.json."""

import json

import numpy as np
import pytest
import torch
import yaml

from diffad import AnomalyPipeline
from diffad.config import SpaceConfig
from diffad.data.space import Space
from diffad.hub.card import MARK, format_card
from diffad.hub.preprocessing import describe_preprocessing
from diffad.models.pretrained import list_shipped_models
from diffad.training.export import save_pipeline
from tests.helpers.cohorts import write_model

ROW = {"kind": "dark", "low_ml": 0.2, "high_ml": 1.0, "rate": 0.01, "lesions": 7}
SENSITIVITY = {**ROW, "lesion_share": 0.57, "voxel_share": 0.31}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("card") / "m"))


def test_card_says_what_the_model_is_takes_and_finds(pipe):
    stored = {"thresholds": {"0.01": 0.25}, "scans": 4, "pixels": 99, "sensitivity": [SENSITIVITY]}
    config = dict(pipe.config) | {"calibration": stored, "provenance": {"name": "m|<b>`x", "steps": 9}}
    text = format_card(config, pipe.network, "lab/m")
    assert "axial slices of 32 x 32 pixels" in text
    assert "4 healthy scans; threshold 0.25 lets 1 % of healthy voxels through" in text
    assert "| dark | 0.2 to 1 | 7 | 0.57 / 0.31 |" in text
    assert "# m\\|&lt;b>'x\n" in text
    assert "Research only" in text
    assert yaml.safe_load(text.split("---")[1])["library_name"] == "diffad"


def test_card_names_what_is_different_for_a_contrast(pipe):
    stored = {"thresholds": {"0.01": 0.5}, "scans": 1, "pixels": 99}
    contrasts = {"T2": {"score": {"name": "l2"}, "calibration": stored}, "FLAIR": {}}
    text = format_card(dict(pipe.config) | {"contrasts": contrasts}, pipe.network, "lab/m")
    assert "| for T2 | score l2; 1 healthy scan; threshold 0.5 lets 1 % of healthy voxels through |" in text
    assert "| for FLAIR | none: maps are cut" in text


def test_card_is_written_anew_until_a_person_edits_it(pipe, tmp_path):
    target = tmp_path / "m"
    save_pipeline(pipe, target)
    assert MARK in (target / "README.md").read_text()
    save_pipeline(pipe, target)
    (target / "README.md").write_text("my words")
    save_pipeline(pipe, target)
    assert (target / "README.md").read_text() == "my words"


def test_shipped_cards_name_the_library():
    for folder in list_shipped_models().values():
        front = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
        assert front["library_name"] == "diffad"
        assert "license" in front


def test_preprocessing_can_be_followed_by_other_programs(pipe, tmp_path):
    """A window by the numbers of the file is that of the pipeline."""
    pipe.save_pretrained(tmp_path)
    rules = json.loads((tmp_path / "preprocessing.json").read_text())["intensity"]
    rng = np.random.default_rng(0)
    scan, brain = rng.uniform(10, 200, (1, 9, 9)), np.zeros((1, 9, 9), bool)
    brain[:, 2:7, 2:7] = True
    scan *= brain
    window = Space(SpaceConfig(**pipe.config.space)).window(torch.from_numpy(scan), torch.from_numpy(brain))
    assert rules["zero"] == "the zero of the scan"
    high = np.percentile(scan[brain], rules["high_percentile"]) / rules["high_becomes"]
    assert window.upper == pytest.approx((high,))
    assert window.lower == (0.0,)


@pytest.mark.parametrize(
    ("space", "section", "expected"),
    [
        ({"intensity": "ct", "centre": 40.0, "width": 80.0}, "intensity", {"window_hu": [0.0, 80.0]}),
        ({"axis": "volume"}, "grid", {"planes": ["volume"]}),
        ({"size": 64, "fov": 230.0, "window": [48, 40]}, "grid", {"window_around_brain": [48, 40]}),
        ({"further_axes": ["coronal"]}, "grid", {"planes": ["axial", "coronal"]}),
    ],
)
def test_preprocessing_of_every_kind_of_model(space, section, expected):
    values = describe_preprocessing({"space": space, "sequences": ["t1", "flair"]}, 2)
    assert values["scan"] | {"sequences": ["t1", "flair"], "channels": 2} == values["scan"]
    assert values[section] | expected == values[section]
    assert json.loads(json.dumps(values)) == values


def test_repr_is_short_and_lists_no_calibration(pipe):
    text = repr(AnomalyPipeline.from_pretrained("ixi-t1-axial"))
    assert text.startswith("AnomalyPipeline ixi-t1-axial\n")
    assert len(text) < 1200
    assert "survival" not in text
    assert "58 healthy scans" in text


def test_a_copy_does_not_say_where_it_was_copied_from(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "first")
    AnomalyPipeline.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    texts = [path.read_text() for path in (tmp_path / "second").rglob("*.json")]
    assert len(texts) >= 4
    assert not [text for text in texts if str(tmp_path) in text]
    for path in (tmp_path / "first").rglob("*.json"):
        assert path.read_text() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_text()
