"""A small data set, and the program to run on it."""

import json

import pytest

from diffad.bids_app import validation
from diffad.cli.app import run_bids_app
from tests.helpers.cohorts import brain, write
from tests.helpers.prediction import _quick_report as _quick_report
from tests.helpers.prediction import model as model

ABOUT = {"Name": "small", "BIDSVersion": "1.9.0", "Authors": ["A. One", "B. Two"], "DatasetDOI": "doi:10.1/x"}


@pytest.fixture
def tree(tmp_path):
    """Three participants: one with a T1 and a FLAIR, one with two sessions, one with a T1 of two runs."""
    root = tmp_path / "study"
    names = ["sub-01/anat/sub-01_T1w", "sub-01/anat/sub-01_FLAIR", "sub-02/ses-a/anat/sub-02_ses-a_T1w"]
    names += [
        "sub-02/ses-b/anat/sub-02_ses-b_acq-x_T1w",
        "sub-03/anat/sub-03_run-1_T1w",
        "sub-03/anat/sub-03_run-2_T1w",
    ]
    for seed, name in enumerate(names):
        write(root / f"{name}.nii.gz", brain(seed))
    (root / "dataset_description.json").write_text(json.dumps(ABOUT))
    rows = ["participant_id\tage\tscore\ttext", "sub-01\t30\t1\t=x", "sub-02\tn/a\t2\t", "sub-03\t61\t3\ty"]
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    (root / "participants.json").write_text(json.dumps({"age": {"Description": "Age", "Units": "year"}}))
    (root / "README.md").write_text("A data set for tests. " * 10)
    return root


@pytest.fixture
def app(tree, model, tmp_path, capsys, monkeypatch):
    """Run the program on the data set, without the validator; return its exit code and what it said."""
    monkeypatch.setattr(validation, "find_validator", lambda: None)

    def run(*words, level="participant", root=tree, out=tmp_path / "out"):
        options = ["--model", str(model), "--no-prepare", "--no-page"] if level == "participant" else []
        code = run_bids_app([str(root), str(out), level, *options, *map(str, words)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out + told.err

    run.out = tmp_path / "out"
    return run
