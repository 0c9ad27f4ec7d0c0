"""A scan that is named like another sequence is told from one with another name for the same."""

from pathlib import Path

import pytest

from diffad.inference.sequence_names import compare_sequence_names


@pytest.mark.parametrize(
    "name", ["p07_T1.nii.gz", "sub-1_T1w.nii.gz", "t1w.nii", "sub-1_scan.nii.gz", "headflair.nii"]
)
def test_names_of_one_sequence_and_no_names_pass(name):
    assert compare_sequence_names(Path(name), ["T1w"]) is None
    assert compare_sequence_names(Path(name), None) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("p07_T2.nii.gz", "t2"),
        ("p07_T1POST.nii.gz", "t1post"),
        ("a-t1ce.nii.gz", "t1ce"),
        ("sub-1_ce-gadolinium_T1w.nii.gz", "ce-gadolinium"),
        ("sub-1_FLAIR.nii.gz", "flair"),
    ],
)
def test_other_sequences_and_contrast_agents_are_said(name, word):
    reason = compare_sequence_names(Path(name), ["T1w"])
    assert reason == f"the model was trained on T1w, and this scan is named {word}"


def test_model_of_scans_after_a_contrast_agent_knows_them():
    assert compare_sequence_names(Path("sub-1_ce-gadolinium_T1w.nii.gz"), ["t1ce"]) is None
    assert compare_sequence_names(Path("a_t1gd.nii.gz"), ["t1ce"]) is None
    assert compare_sequence_names(Path("a_t1_head.nii.gz"), ["*_t1_head.nii.gz"]) is None


def test_a_tensor_has_no_name():
    assert compare_sequence_names(None, ["T1w"]) is None
