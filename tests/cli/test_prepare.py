"""The command: what it writes, skips, refuses, and goes on after."""

import json

import nibabel as nib
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from diffad.cli.prepare import prepare_command
from diffad.data.volume import Volume
from diffad.io.claims import RUNNING, Claim
from diffad.prepare import batch
from diffad.prepare.files import ENDS
from tests.helpers.disk import fill_disk
from tests.helpers.heads import head

QUICK = ["--register", "none", "--no-bias", "--spacing", "3"]


@pytest.fixture
def run():
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(prepare_command)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def cohort(tmp_path):
    """Two scans with masks in folders with a space and an umlaut, and a file that is no scan."""
    for name, grid in (("a b", "las"), ("ü", "oblique")):
        scan, brain, affine = head(grid)
        (tmp_path / "in" / name).mkdir(parents=True)
        nib.save(nib.Nifti1Image(scan, affine), tmp_path / "in" / name / f"{name}_T1w.nii.gz")
        mask = nib.Nifti1Image(brain.astype(np.uint8), affine)
        nib.save(mask, tmp_path / "in" / name / f"{name}_T1w_mask.nii.gz")
    return tmp_path / "in"


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_every_scan_of_a_folder_is_written_and_skipped_the_second_time(run, cohort, tmp_path):
    out = tmp_path / "out"
    first = run(cohort, "--out", out, "--mask", "_mask", *QUICK)
    assert first.exit_code == 0, first.output
    assert {p.name for p in out.iterdir()} == {f"{n}_T1w{end}" for n in ("a b", "ü") for end in ENDS}
    before = times(out)
    second = run(cohort, "--out", out, "--mask", "_mask", *QUICK)
    assert second.exit_code == 0
    assert "2 done before" in second.output
    assert times(out) == before


def test_written_files_agree_with_each_other(run, cohort, tmp_path):
    out = tmp_path / "out"
    run(cohort / "ü", "--out", out, "--mask", "_mask", *QUICK)
    scan, mask = (Volume.load(out / f"ü_T1w{end}", allow_constant=True) for end in ENDS[:2])
    assert np.array_equal(scan.affine, mask.affine)
    assert np.allclose(scan.spacing, 3)
    assert (scan.data[0][mask.data[0] == 0] == 0).all()
    assert np.array_equal(np.loadtxt(out / "ü_T1w_to_native.txt"), np.eye(4))
    record = json.loads((out / "ü_T1w_prepare.json").read_text())
    assert record["request"]["files"][0][0].endswith("ü_T1w.nii.gz")
    assert record["options"]["brain"] == "given"


def test_other_options_do_not_overwrite(run, cohort, tmp_path):
    out = tmp_path / "out"
    run(cohort / "ü", "--out", out, "--mask", "_mask", *QUICK)
    before = times(out)
    again = run(cohort / "ü", "--out", out, "--mask", "_mask", *QUICK[:-1], "2")
    assert again.exit_code == 1
    assert "nothing is overwritten" in again.output
    assert times(out) == before


def test_files_of_others_are_not_overwritten(run, cohort, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "ü_T1w.nii.gz").write_text("mine")
    found = run(cohort / "ü", "--out", out, "--mask", "_mask", *QUICK)
    assert found.exit_code == 1
    assert (out / "ü_T1w.nii.gz").read_text() == "mine"
    assert [p.name for p in out.iterdir()] == ["ü_T1w.nii.gz"]


def test_one_bad_scan_does_not_cost_the_others(run, cohort, tmp_path):
    (cohort / "broken.nii.gz").write_bytes(b"no scan")
    nib.save(nib.Nifti1Image(np.ones((20, 20, 20), "f4"), np.eye(4)), cohort / "broken_mask.nii.gz")
    found = run(cohort, "--out", tmp_path / "out", "--mask", "_mask", *QUICK)
    assert found.exit_code == 1
    assert "2 done, 1 failed" in found.output
    assert "broken.nii.gz: expected a readable NIfTI file" in found.output
    assert len(times(tmp_path / "out")) == 2 * len(ENDS)


@pytest.mark.slow
def test_sequences_given_together_become_one_subject(run, tmp_path):
    for name, grid in (("t1", "plain"), ("t2", "oblique")):
        scan, brain, affine = head(grid)
        nib.save(nib.Nifti1Image(scan, affine), tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), tmp_path / f"brain_{name}.nii.gz")
    files = [tmp_path / "t1.nii.gz", tmp_path / "t2.nii.gz"]
    mask = ["--mask", tmp_path / "brain_t1.nii.gz"]
    found = run(*files, "--together", *mask, "--out", tmp_path / "out", *QUICK)
    assert found.exit_code == 0, found.output
    assert len(Volume.load(tmp_path / "out" / "t1.nii.gz").data) == 2


def test_wrong_words_are_refused(run, cohort, tmp_path):
    folder = run(cohort, "--together", "--out", tmp_path / "out")
    assert "expected files with --together, found a folder" in str(folder.exception)
    both = run(cohort, "--mask", "_mask", "--brain", "deepbet", "--out", tmp_path / "out")
    assert both.exit_code == 2
    assert "--brain: expected given or auto beside a --mask" in both.output
    assert not (tmp_path / "out").exists()


def test_a_run_that_could_not_write_leaves_nothing_behind(run, cohort, tmp_path, monkeypatch):
    fill_disk(monkeypatch, "*_xfm.tfm")
    found = run(cohort / "ü", "--out", tmp_path / "out", "--mask", "_mask", *QUICK)
    assert found.exit_code == 1
    assert "No space left" in found.output
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_package_ends_the_run_at_once(run, cohort, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    found = run(cohort, "--out", tmp_path / "out", "--mask", "_mask", *QUICK)
    assert isinstance(found.exception, ImportError)
    assert "diffad[prepare]" in str(found.exception)


def test_scan_that_was_damaged_since_is_named_and_left_alone(run, cohort, tmp_path):
    out = tmp_path / "out"
    run(cohort, "--out", out, "--mask", "_mask", *QUICK)
    mask = out / "ü_T1w_brain_mask.nii.gz"
    mask.write_bytes(mask.read_bytes()[:-20])
    before = times(out)
    again = run(cohort, "--out", out, "--mask", "_mask", *QUICK)
    assert again.exit_code == 1
    assert "ü_T1w_brain_mask.nii.gz has " in again.output
    assert "1 done before" in again.output
    assert times(out) == before


def test_scan_that_another_run_prepares_is_waited_for_and_not_done_twice(run, cohort, tmp_path, monkeypatch):
    out = tmp_path / "out"
    held = Claim(out / RUNNING / "ü_T1w.lock")
    assert held.acquire()
    monkeypatch.setattr(batch, "PATIENCE_SECONDS", 0.1)
    first = run(cohort, "--out", out, "--mask", "_mask", *QUICK)
    assert first.exit_code == 1
    assert "found process" in first.output
    assert {p.name for p in out.iterdir()} == {RUNNING, *(f"a b_T1w{end}" for end in ENDS)}
    held.release()
    assert "1 done, 1 done before" in run(cohort, "--out", out, "--mask", "_mask", *QUICK).output
    assert RUNNING not in {p.name for p in out.iterdir()}
