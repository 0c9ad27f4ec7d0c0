"""A run over scans on disk from Python is the run of the command."""

import shutil

import pytest

from diffad.predict import Inputs, Options, predict_scans
from tests.helpers.cohorts import all_files, info, load, names


def test_python_and_the_command_make_the_same_files(predict, model, cohort, tmp_path):
    predict("--sampler", "levels=[10]", "--seed", "3")
    options = Options(sampler={"levels": [10]}, seed=3)
    summary = predict_scans(Inputs([cohort], str(model), tmp_path / "python"), options)
    assert str(summary) == "2 done"
    assert names(tmp_path / "python") == names(predict.out) == all_files("s0", "s1")
    for name in ("s0_anomaly.nii.gz", "s1_twin.nii.gz"):
        assert (load(tmp_path / "python" / name) == load(predict.out / name)).all()
    assert info(tmp_path / "python", "s0")["sampler"] == {"name": "oneshot", "levels": [10]}


def test_run_without_pages_writes_none_and_says_what_it_passed_over(model, cohort, tmp_path):
    out = tmp_path / "out"
    predict_scans(Inputs([cohort], str(model), out, page=False))
    assert not list(out.glob("*.html"))
    maps = list(shutil.copytree(out, cohort / "older").glob("*.nii.gz"))
    summary = predict_scans(Inputs([cohort], str(model), out, page=False))
    assert summary.ignored_files == len(maps) > 4
    assert str(summary) == f"2 done before (passed over {len(maps)} masks and maps)"


def test_sequences_that_are_not_the_models_are_refused(model, cohort, tmp_path):
    with pytest.raises(ValueError, match="end in t9"):
        predict_scans(Inputs([cohort], str(model), tmp_path / "out", sequences=["t9"]))
    assert not (tmp_path / "out").exists()


def test_options_of_a_part_that_the_model_lacks_are_refused(model, cohort, tmp_path):
    options = Options(guidance={"scale": 3})
    with pytest.raises(ValueError, match="guidance: expected a part with a name, as the model has none"):
        predict_scans(Inputs([cohort], str(model), tmp_path / "out"), options)
    assert not (tmp_path / "out").exists()
