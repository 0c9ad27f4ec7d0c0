"""What picture and name of a scan say of its contrast, and what a reader is told where they disagree."""

from pathlib import Path

import pytest

from diffad import AnomalyPipeline
from diffad.inference import features
from diffad.inference.scan_contrast import ScanContrast
from diffad.inference.sequence_names import find_agent_word, name_sequence, read_sequence_word
from diffad.inference.tissues import TissueContrast
from tests.helpers.domains import draw_scan, write_knowing_model, write_scan

CONTRASTS = {"T2": {"score": {"name": "l1", "dark": 0.0}}}
T1, T2, NONE = (
    TissueContrast(0.3, 0.6, 0.95),
    TissueContrast(0.95, 0.6, 0.45),
    TissueContrast(0.5, 0.93, 0.91),
)


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    write_knowing_model(folder, ("T1",))
    pipe = AnomalyPipeline.from_pretrained(folder)
    pipe.register_to_config(contrasts=CONTRASTS)
    return pipe


def test_a_name_against_the_picture_is_a_warning_of_the_scan(pipe, tmp_path):
    path = write_scan(tmp_path / "sub-1_T1w.nii.gz", "T2")
    info = pipe(path).info
    assert info["contrast"] == "T2"
    text = "its name says T1w, its picture is like T2: the settings for T2 were used"
    assert sum(warning.startswith(text) for warning in info["warnings"]) == 1
    right = pipe(write_scan(tmp_path / "sub-1_T2w.nii.gz", "T2")).info
    assert not any("its name says" in warning for warning in right["warnings"])


def test_a_scan_of_unknown_contrast_gets_the_own_settings_and_a_warning(pipe, tmp_path):
    info = pipe(write_scan(tmp_path / "scan.nii.gz", None, grain=0)).info
    assert info["contrast"] == ""
    text = "neither its name nor its picture says its contrast: the settings for T1 were used"
    assert sum(warning.startswith(text) for warning in info["warnings"]) == 1
    info = pipe(write_scan(tmp_path / "sub-1_PDw.nii.gz", None, grain=0)).info
    text = "its name says PDw, for which the model has no settings: the settings for T1 were used"
    assert text in info["warnings"]


def test_a_model_without_contrasts_warns_of_none(pipe, tmp_path):
    other = AnomalyPipeline.from_pretrained(pipe.config["_name_or_path"])
    other.register_to_config(contrasts=None)
    info = other(write_scan(tmp_path / "sub-1_T1w.nii.gz", "T2")).info
    assert not any("its name" in warning for warning in info["warnings"])


def test_enhancement_is_named_where_a_scan_after_an_agent_is_outside(pipe, tmp_path):
    cause = "its name says a contrast agent (T1POST), so enhancement may be the cause"
    outside = pipe(write_scan(tmp_path / "p_T1POST.nii.gz", None, grain=0)).info
    assert outside["domain"]["status"] == "outside"
    assert any(text.startswith("outside") and text.endswith(cause) for text in outside["warnings"])
    assert outside["headline"]["outside"].endswith(cause)
    inside = pipe(write_scan(tmp_path / "q_T1POST.nii.gz", "T1")).info
    assert not any("outside what" in text or "enhancement" in text for text in inside["warnings"])


def test_the_picture_may_say_enhancement_too():
    cause = ScanContrast.of(Path("a.nii"), T1, 1.4).cause
    assert cause.startswith("the brightest percent of its brain is above 1.40 of its bright end, so enhanc")
    assert ScanContrast.of(Path("a.nii"), NONE, 1.4).cause
    assert not ScanContrast.of(Path("a.nii"), T1, 1.2).cause
    assert not ScanContrast.of(Path("a.nii"), T2, 1.8).cause


@pytest.mark.parametrize(
    ("name", "agent", "word", "sequence"),
    [
        ("sub-1_ce-gadolinium_T1w.nii.gz", "ce-gadolinium", "T1w", "T1"),
        ("p07_T1POST.nii.gz", "T1POST", "T1POST", "T1"),
        ("pat_T1C.nii.gz", "T1C", "T1C", "T1"),
        ("a-t1ce.nii", "t1ce", "t1ce", "T1"),
        ("a_t1_gd.nii", "t1_gd", "", ""),
        ("a_t1_post.nii", "t1_post", "", ""),
        ("a_post.nii", "", "", ""),
        ("a_flair.nii", "", "flair", "FLAIR"),
        ("a_dwi.nii", "", "dwi", "DWI"),
    ],
)
def test_names_say_sequence_and_agent(name, agent, word, sequence):
    assert find_agent_word(Path(name)) == agent
    assert read_sequence_word(Path(name)) == word
    assert (name_sequence(word) if word else "") == sequence
    assert not agent or ScanContrast.of(Path(name), None).choice == "T1"


def test_tissues_are_measured_once(pipe, monkeypatch):
    volume, brain = draw_scan("T1")
    calls = []

    def count(means, cover):
        calls.append(means)
        return fit(means, cover)

    fit = features.fit_tissues
    monkeypatch.setattr(features, "fit_tissues", count)
    assert pipe(volume, brain.numpy()).info["contrast"] == "T1"
    assert len(calls) == 1
