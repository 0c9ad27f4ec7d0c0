"""What `diffad fill` tells programs, and how quiet it can be."""

import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from tests.helpers.cohorts import AFFINE, brain


@pytest.fixture
def scans(tmp_path):
    """Two scans with lesions, and one without."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        nib.save(nib.Nifti1Image(brain(), AFFINE), tmp_path / "in" / f"{name}.nii.gz")
    mask = np.zeros(brain().shape, np.uint8)
    mask[tuple(slice(n // 2 - 2, n // 2 + 2) for n in mask.shape)] = 1
    for name in "ab":
        nib.save(nib.Nifti1Image(mask, AFFINE), tmp_path / "in" / f"{name}_lesion.nii.gz")
    return tmp_path / "in"


@pytest.fixture
def fill(scans, tmp_path, model, capfd):
    """Fill all scans, and return exit code, stdout and stderr."""

    def run(*words):
        command = ["fill", str(scans), "--lesion", "_lesion", "--model", str(model), "--start-level", "20"]
        code = main([*command, "--steps", "1", "--out", str(tmp_path / "out"), *words])
        return code, *capfd.readouterr()

    return run


def test_programs_hear_of_every_scan_and_of_all(fill, tmp_path):
    code, out, err = fill("--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (1, "")
    assert {event["command"] for event in events} == {"fill"}
    scans = {event["scan"]: event for event in events if event["event"] == "scan"}
    assert {name: scan["outcome"] for name, scan in scans.items()} == {
        "a": "done",
        "b": "done",
        "c": "failed",
    }
    record = json.loads((tmp_path / "out" / "a_filled.json").read_text())
    assert scans["a"]["record"] == str(tmp_path / "out" / "a_filled.json")
    for key in ("filled_ml", "share", "rim_step", "nfe", "warnings", "seed", "members", "model"):
        assert scans["a"][key] == record[key]
    assert {"reading", "closing the hole", "filling"} <= set(scans["a"]["stages"])
    assert "expected a lesion mask _lesion" in scans["c"]["error"]
    (failure,) = (event for event in events if event["event"] == "failed")
    assert failure["message"] == f"failed c: {scans['c']['error']}"
    summary = events[-1]
    assert (summary["event"], summary["done"], summary["failed"]) == ("summary", ["a", "b"], ["c"])
    assert (summary["done_before"], summary["out"]) == ([], str(tmp_path / "out"))
    assert summary["message"] == f"filled 2 of 3 scans; see {tmp_path / 'out'}"


def test_programs_hear_of_scans_that_were_filled_before(fill):
    assert fill("-q")[0] == 1
    events = [json.loads(line) for line in fill("--json")[1].splitlines()]
    assert (events[-1]["done"], events[-1]["done_before"], events[-1]["failed"]) == ([], ["a", "b"], ["c"])
    assert [e["outcome"] for e in events if e["event"] == "scan"] == ["done before"] * 2 + ["failed"]


def test_quiet_run_says_what_failed_and_no_more(fill):
    code, out, err = fill("-q")
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert (code, out, len(lines)) == (1, "", 1)
    assert lines[0].startswith("failed c: ")


def test_selftest_that_lost_a_scan_says_so(scans, model, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("diffad.fill.selftest.VOLUMES_ML", (0.1,))
    monkeypatch.setattr("diffad.fill.selftest.MIN_DEPTH", 1.0)
    (scans / "b.nii.gz").write_bytes(b"no scan")
    files = [str(scans / f"{name}.nii.gz") for name in "ab"]
    words = ["--selftest", "--json", "--model", str(model), "--steps", "1", "--out", str(tmp_path / "out")]
    assert main(["fill", *files, *words]) == 1
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (table,) = (event for event in events if event["event"] == "selftest")
    assert {row["fill"]: row["scans"] for row in table["rows"]} == dict.fromkeys(
        ("rim mean", "harmonic", "mirror", "network"), 1
    )
    assert next(e["message"] for e in events if e["event"] == "failed").startswith("failed b: ")
