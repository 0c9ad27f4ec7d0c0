"""Which warnings of the pipeline a fill hands on: all but those of the map, however they begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffad.data.volume import Volume
from diffad.fill import FillOptions, fill_scan
from diffad.fill.fill import drop_map_warnings
from diffad.pipeline import AnomalyPipeline
from tests.helpers.cohorts import AFFINE, SHAPE, brain, write_model

NEW = "a sentence that begins as none did before"


@pytest.fixture(scope="module")
def place_pipe(tmp_path_factory):
    """A model whose map has a warning of its own: it lacks the healthy maps that it asks for."""
    folder = write_model(tmp_path_factory.mktemp("place"), settings={"postprocess": {"normalise": "place"}})
    return AnomalyPipeline.from_pretrained(folder)


def test_pipeline_says_which_warnings_are_of_the_map(place_pipe):
    info = place_pipe(Volume(brain()[None], AFFINE).warn(NEW)).info
    assert any(text.startswith("the map is not normalised by place") for text in info["map_warnings"])
    assert set(info["map_warnings"]) < set(info["warnings"])


def test_fill_drops_those_of_the_map_and_no_other(place_pipe, monkeypatch):
    monkeypatch.setattr("diffad.inference.finishing.list_scan_warnings", lambda *_: [NEW])
    lesion = np.zeros(SHAPE, np.float32)
    lesion[10:14, 12:16, 4:6] = 1
    options = FillOptions(level=20, steps=1)
    filled = fill_scan(place_pipe, Volume(brain()[None], AFFINE), lesion, options=options)
    assert filled.info["warnings"] == [NEW]


@given(st.lists(st.text()), st.lists(st.text()))
def test_what_is_not_marked_as_of_the_map_is_kept_in_order(texts, about_map):
    info = {"warnings": [*texts, *about_map], "map_warnings": about_map}
    assert drop_map_warnings(info) == [text for text in texts if text not in about_map]
    assert drop_map_warnings({"warnings": texts}) == texts
