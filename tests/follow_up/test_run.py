"""The command from two files to a folder of results, by a tiny network: what is written, kept and refused."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from diffad.follow_up.alignment import Alignment
from diffad.follow_up.rigid import make_motion
from tests.helpers.cohorts import write
from tests.helpers.heads import CENTRE
from tests.helpers.visits import PLACE, make_visit

MOTION = make_motion(np.radians([4.0, -3.0, 6.0]), np.array([3.0, -2.0, 4.0]), CENTRE)
FILES = {
    *("anomaly_change.nii.gz", "changes.csv", "comparison.html", "comparison.json", "comparison.png"),
    *("digests.json", "subtraction.nii.gz"),
    *(f"visit-{n}_{kind}.nii.gz" for n in (1, 2) for kind in ("anomaly", "detections", "scan", "seen")),
    *(f"visit-{n}_to_midpoint.tfm" for n in (1, 2)),
}


@pytest.fixture(autouse=True)
def _known_motion(monkeypatch):
    """Registration takes longer than all else here, and has tests of its own."""
    known = Alignment(MOTION, 7.8, 5.4, 0.1, 0.98, 0.97)
    monkeypatch.setattr("diffad.follow_up.run.align_visits", lambda *scans, seed: known)
    still = Alignment(np.eye(4), 0.0, 0.0, 0.1, 0.98, 0.97)
    monkeypatch.setattr("diffad.follow_up.rescans.align_visits", lambda *scans, seed: still)


@pytest.fixture
def visits(tmp_path):
    first = make_visit([(PLACE, 9.0)], spacing=5.0, shape=(38, 43, 34))
    second = make_visit([(PLACE, 14.0)], MOTION, spacing=5.0, shape=(38, 43, 34))
    paths = []
    for name, visit in (("a_T1w", first), ("b_T1w", second)):
        paths.append(write(tmp_path / f"{name}.nii.gz", visit.volume.data[0], visit.volume.affine))
    return paths


@pytest.fixture
def compare(model, tmp_path, capsys):
    """Run the command; return its exit code, and what it told and said."""

    def run(first, second, *words):
        options = ["--out", str(tmp_path / "out"), "--model", str(model), "--threshold", "0.12", *words]
        code = main(["compare", str(first), str(second), *options])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out, told.err

    run.out = tmp_path / "out" / "comparison"
    return run


def read(folder):
    return json.loads((folder / "comparison.json").read_text())


def test_comparison_has_its_files_and_they_agree(compare, visits):
    code, told, _ = compare(*visits, "--dates", "2023-01-01,2023-03-02")
    assert code == 0
    assert {path.name for path in compare.out.iterdir()} == FILES
    record = read(compare.out)
    assert told == f"{record['headline']}; see {compare.out / 'comparison.html'}\n"
    assert record["days"] == 60
    with (compare.out / "changes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record["changes"]) > 0
    assert [row["status"] for row in rows] == [change["status"] for change in record["changes"]]
    maps = [nib.load(compare.out / f"visit-{n}_anomaly.nii.gz") for n in (1, 2)]
    change = nib.load(compare.out / "anomaly_change.nii.gz")
    np.testing.assert_allclose(change.affine, record["midpoint"]["affine"], atol=1e-5)
    seen = [nib.load(compare.out / f"visit-{n}_seen.nii.gz").get_fdata() > 0 for n in (1, 2)]
    difference = np.where(seen[0] & seen[1], maps[1].get_fdata() - maps[0].get_fdata(), 0)
    np.testing.assert_allclose(change.get_fdata(), difference, atol=1e-5)
    page = (compare.out / "comparison.html").read_text()
    assert all(text in page for text in ("a_T1w.nii.gz", "b_T1w.nii.gz", "What re-scanning alone gives"))
    assert "http" not in page.replace("http-equiv", "")


def test_finished_comparison_stays_and_other_options_are_said(compare, visits):
    compare(*visits)
    before = {path: path.stat().st_mtime_ns for path in compare.out.iterdir()}
    code, told, _ = compare(*visits)
    assert (code, told.startswith("done before: ")) == (0, True)
    code, told, said = compare(*visits, "--tolerance", "4")
    assert (code, told.startswith("kept from other options: ")) == (1, True)
    assert "made with other tolerance_mm; --overwrite makes it anew" in said
    assert {path: path.stat().st_mtime_ns for path in compare.out.iterdir()} == before
    code, _, _ = compare(*visits, "--tolerance", "4", "--overwrite")
    assert (code, read(compare.out)["request"]["tolerance_mm"]) == (0, 4.0)


def test_damaged_comparison_is_made_anew(compare, visits):
    compare(*visits)
    (compare.out / "changes.csv").write_text("nothing")
    code, told, said = compare(*visits)
    assert (code, told.startswith("done before")) == (0, False)
    assert "redoing the comparison: changes.csv has 7 bytes" in said
    assert (compare.out / "changes.csv").read_text().startswith("number,status")


def test_other_settings_of_the_visits_are_refused_unless_overwritten(compare, visits):
    compare(*visits)
    code, _, said = compare(*visits, "--seed", "3")
    assert code == 1
    assert "visit 1: expected results of a_T1w.nii.gz, found results in" in said
    assert compare(*visits, "--seed", "3", "--overwrite")[0] == 0


def test_same_file_twice_is_named_and_stable(compare, visits):
    code, _, said = compare(visits[0], visits[0])
    record = read(compare.out)
    assert code == 0
    assert {change["status"] for change in record["changes"]} == {"stable"}
    names = "visit 1 (a_T1w.nii.gz) and visit 2 (a_T1w.nii.gz)"
    assert f"warning: {names} are the same scan, so that everything is stable" in said
    assert record["registration"]["turn_degrees"] == 0


def test_visit_that_cannot_be_used_is_named(compare, visits, tmp_path):
    broken = tmp_path / "c_T1w.nii.gz"
    broken.write_bytes(b"no scan")
    code, _, said = compare(visits[0], broken)
    assert code == 1
    assert "error: visit 2: " in said
    assert str(broken) in said
    assert not compare.out.exists()


def test_rescans_measure_the_noise_and_are_kept(compare, visits):
    code, _, _ = compare(*visits, "--rescan", "1")
    record = read(compare.out)
    assert code == 0
    assert record["noise"]["source"] == "1 simulated re-scan of a_T1w.nii.gz"
    assert {c["status"] for c in record["changes"]} <= {"grown", "shrunk", "stable", "new", "gone"}
    (scan,) = (compare.out.parent / "rescans").glob("*/rescan-1_a_T1w.nii.gz")
    before = scan.stat().st_mtime_ns
    assert compare(*visits, "--rescan", "1")[1].startswith("done before")
    assert scan.stat().st_mtime_ns == before


def test_without_known_noise_that_is_said(compare, visits):
    _, told, _ = compare(*visits)
    assert "noise of re-scanning unknown" in told
    assert read(compare.out)["noise"] is None


def test_json_has_changes_and_page(compare, visits):
    code, told, _ = compare(*visits, "--json")
    event = json.loads(told.splitlines()[-1])
    assert (code, event["event"], event["outcome"]) == (0, "result", "done")
    assert event["changes"] == read(compare.out)["changes"]
    assert event["page"].endswith("comparison.html")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dates", "2023-01-01"], "--dates: expected two dates"),
        (["--dates", "May,June"], "--dates: expected dates as 2024-03-05, got 'May'"),
        (["--tolerance", "-1"], "--tolerance"),
    ],
)
def test_wrong_usage_is_said_before_any_work(compare, visits, words, message):
    code, _, said = compare(*visits, *words)
    assert (code, message in said) == (2, True)
    assert not compare.out.parent.exists()


def test_folder_in_place_of_a_visit_is_refused(compare, visits, tmp_path):
    code, _, said = compare(visits[0], tmp_path)
    assert code == 1
    assert f"{tmp_path}: expected the file of the scan of visit 2, found a folder" in said
