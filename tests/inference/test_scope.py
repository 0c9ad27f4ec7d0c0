"""What a model says of itself, from what it stores and what follows from its settings."""

import pytest

from diffad.inference.scope import ModelScope, check_scope
from diffad.models.folder import read_mapping
from diffad.models.pretrained import list_shipped_models

SPACE = {"intensity": "percentile", "axis": "axial", "further_axes": ()}
SCORES = {"topk": [1.0], "max": [1.0], "flagged": [0.1]}


def scope(**settings):
    return ModelScope.of({"space": SPACE, "provenance": {"name": "m"}, **settings})


def test_shipped_models_say_what_they_know():
    scopes = {}
    for name, folder in list_shipped_models().items():
        scopes[name] = ModelScope.of(read_mapping(folder / "model_index.json"))
        assert "not state" not in str(scopes[name])
    assert scopes["ixi-t1-axial"].range_mm == (19.0, 27.0)
    assert "axial slices at z = 19 to 27 mm of MNI152" in str(scopes["ixi-t1-axial"])
    assert scopes["brain-any"].range_mm is None
    assert "whole brain" in str(scopes["brain-any"])


def test_model_without_a_word_of_itself_says_that_it_does_not_say():
    own = scope()
    assert str(own).count("not state") == 3
    assert "not calibrated" in own.calibrated_on
    assert own.range_mm is None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"space": {**SPACE, "intensity": "ct"}}, "CT, "),
        ({"sequences": ["t1", "flair"]}, "MRI (t1, flair)"),
        ({"domain": [{"sequence": "T1"}]}, "MRI that looks like T1"),
        ({"space": {**SPACE, "axis": "volume"}}, "whole volumes"),
        ({"space": {**SPACE, "further_axes": ["coronal"]}}, "axial and coronal slices"),
        ({"calibration": {"scans": 7, "whole": {"scores": SCORES}}}, "slices of the whole brain"),
        ({"calibration": {"scans": 7, "whole": {"sites": {"A": 1}}}}, "calibrated on 7 healthy scans of A"),
        ({"scope": {"ages": "5 to 9"}}, "ages 5 to 9"),
    ],
)
def test_settings_of_a_model_say_what_it_knows(settings, text):
    assert text in str(scope(**settings))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"modality": 3}, "expected text as scope.modality"),
        ({"range_mm": [3, 1]}, "two rising numbers as scope.range_mm"),
        ({"range_mm": [0, float("nan")]}, "two rising numbers"),
        ({"range_mm": "ab"}, "two rising numbers"),
        ({"knows": "all"}, "expected a scope with some of"),
        ([], "expected a scope"),
    ],
)
def test_scope_of_another_form_is_refused(values, text):
    with pytest.raises(ValueError, match=text):
        check_scope(values)
