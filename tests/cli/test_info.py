"""What something is, whether it would run, and whether the machine is well."""

import json
import subprocess
import sys

import numpy as np
import pytest

from diffad.cli import doctor, main
from diffad.cli.machine import list_absent_extras
from tests.helpers.cohorts import write


def facts(capsys, *words):
    code = main(["info", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_scan_that_would_run_says_how(cohort, capsys):
    code, values = facts(capsys, cohort / "s0.nii.gz")
    assert (code, values["kind"], values["runs"]) == (0, "scan", True)
    assert values["next"] == f"diffad predict {cohort / 's0.nii.gz'} --out maps"
    assert len(values["shape"]) == len(values["spacing_mm"]) == 3
    assert values["brain_ml"] > 0


def test_head_says_what_is_missing(tmp_path, capsys):
    voxels = np.random.default_rng(0).random((40, 40, 40)).astype(np.float32) + 1
    path = write(tmp_path / "head.nii.gz", voxels, np.diag([6.0, 6.0, 6.0, 1.0]))
    code, values = facts(capsys, path)
    assert (code, values["runs"]) == (1, False)
    assert "--prepare" in values["missing"][0]
    assert "--prepare" in values["next"]
    assert "brain_ml" not in values


def test_model_folder_of_scans_and_result_are_told_apart(predict, model, cohort, capsys):
    predict()
    assert facts(capsys, "ixi-t1-axial")[1]["kind"] == "model"
    assert facts(capsys, model)[1]["channels"] == 1
    assert facts(capsys, cohort)[1]["scans"] == 2
    values = facts(capsys, predict.out)[1]
    assert (values["kind"], values["scans"], values["failed"]) == ("results", 2, [])
    for end in ("_anomaly.nii.gz", "_info.json", "_report.html"):
        code, values = facts(capsys, predict.out / f"s0{end}")
        assert (code, values["kind"]) == (0, "result")
        assert values["scan"] == [str(cohort / "s0.nii.gz")]


@pytest.mark.parametrize("name", ["nothing", "ixi-t1-axal"])
def test_what_is_not_there_is_one_error(capsys, name):
    assert main(["info", name]) == 1
    assert capsys.readouterr().err.startswith(f"error: {name}: expected a scan, a model or results")


def test_text_shows_a_fact_a_line(cohort, capsys):
    assert main(["info", str(cohort / "s0.nii.gz")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["kind", "scan"]
    assert any(line.split() == ["runs", "yes"] for line in lines)


def test_doctor_says_what_is_well(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "run_self_test", lambda: [doctor.Check("self test", "ok", "fast")])
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    names = ("versions", "devices", "memory", "extras", "models", "self test")
    assert [name for name in names if f"  {name}: " not in out] == []
    assert err.startswith("all is well")


def test_doctor_says_what_is_wrong_and_what_to_do(capsys, monkeypatch):
    def fail():
        raise RuntimeError("no network")

    fail.__name__ = "run_self_test"
    monkeypatch.setattr(doctor, "run_self_test", fail)
    monkeypatch.setattr("diffad.cli.doctor.list_absent_extras", lambda: {"prepare": ["deepbet"]})
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "bad  self test: RuntimeError: no network" in out
    assert "note  extras: prepare lacks deepbet" in out
    assert "pip install 'diffad[prepare]'" in out
    assert err.startswith("1 of 6 checks failed")


@pytest.mark.slow
def test_self_test_gives_the_same_maps_twice():
    (check,) = doctor.run_self_test()
    assert check.status == "ok"


def test_extras_are_looked_for_without_importing_them():
    code = "import sys; from diffad.cli.machine import *; list_absent_extras(); list_versions()"
    code += "; print([m for m in ('torch', 'SimpleITK', 'nilearn') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    assert set(list_absent_extras()) <= {"prepare", "demo", "bids", "dicom", "features", "perceptual"}
