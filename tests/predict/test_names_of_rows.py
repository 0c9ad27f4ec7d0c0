"""No two scans share a row of the table or the name of their results, whatever they are called."""

from dataclasses import replace
from pathlib import Path

from diffad.io.subjects import group_subjects
from diffad.predict import bids
from diffad.predict.results import ResultRow, Results


def test_backslash_and_control_character_have_a_row_each(tmp_path):
    results = Results(tmp_path / "results.csv")
    names = ["q\x1b", r"q\x1b", "=q", "'=q", "q"]
    results.add(*(ResultRow(name, "ok", score=index) for index, name in enumerate(names)), order=names[::-1])
    again = Results(tmp_path / "results.csv")
    assert again.rows == results.rows
    assert [row["score"] for row in again.rows.values()] == ["4", "3", "2", "1", "0"]
    again.add(ResultRow(r"q\x1b", "failed"))
    assert [row["status"] for row in again.rows.values()].count("failed") == 1


def test_files_of_one_bids_name_are_told_apart_by_their_suffixes():
    folder = Path("sub-01/anat")
    files = [folder / f"sub-01_T1w{end}" for end in (".mgz", ".nii", ".nii.gz")]
    subjects = [replace(s, name="sub-01_T1w", folder=folder, bids=True) for s in group_subjects(files)]
    names = [s.name for s in bids.separate_names(subjects)]
    assert names == ["sub-01_desc-mgz_T1w", "sub-01_desc-nii_T1w", "sub-01_T1w"]
