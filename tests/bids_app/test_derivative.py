"""Derivatives are BIDS, as the validator of BIDS says, and every file says what it was made of."""

import json
import subprocess

import numpy as np
import pytest

from diffad.bids_app import validation
from diffad.data.volume import Volume
from diffad.inference.lesion_labels import paint_numbers
from diffad.inference.lesions import find_lesions
from diffad.io.naming import Naming
from diffad.predict.dataset import describe_dataset, format_uri
from tests.helpers.cohorts import load, write

VALIDATOR = validation.find_validator()
needs_validator = pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
EXPLAINED = {"TOO_FEW_AUTHORS", "NIFTI_UNIT"}
"""Warnings that stay: nobody's names are made up, and the header of the scan says no unit."""


def find_issues(root):
    """What the validator says, as severity and code, without any network."""
    command = [VALIDATOR, str(root), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return {(issue["severity"], issue["code"], issue.get("location")) for issue in issues}


@pytest.fixture
def made(app):
    assert app()[0] == 0
    assert app(level="group")[0] == 0
    return app.out


@needs_validator
def test_data_set_and_derivative_pass_the_validator(made, tree):
    for root in (tree, made):
        assert {issue for issue in find_issues(root) if issue[0] == "error"} == set()
    assert {code for _, code, _ in find_issues(made)} <= EXPLAINED


@needs_validator
def test_validator_notices_a_name_that_bids_does_not_know(made):
    path = made / "sub-01/anat/sub-01_desc-anomalyT1w_mask.nii.gz"
    path.rename(path.with_name("sub-01_mod-T1w_desc-anomaly_mask.nii.gz"))
    assert any(severity == "error" for severity, _, _ in find_issues(made))


def test_every_volume_has_a_sidecar_with_its_sources(made, tree):
    for path in made.rglob("*.nii.gz"):
        about = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        scan = f"bids:raw:{path.parent.relative_to(made).as_posix()}/"
        assert about["SpatialReference"].startswith(scan)
        assert (tree / about["SpatialReference"].removeprefix("bids:raw:")).is_file()
        for source in about["Sources"]:
            _, name, place = source.split(":")
            assert ({"raw": tree, "": made}[name] / place).is_file()
        assert about["Description"].endswith(".")


def test_description_names_program_source_and_container(app, tree, monkeypatch):
    monkeypatch.setenv("DIFFAD_CONTAINER_TYPE", "docker")
    monkeypatch.setenv("DIFFAD_CONTAINER_TAG", "diffad:0.1.0")
    app("--participant-label", "01")
    about = json.loads((app.out / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Container"] == {"Type": "docker", "Tag": "diffad:0.1.0"}
    assert about["SourceDatasets"] == [{"URL": tree.as_uri(), "DOI": "doi:10.1/x"}]
    assert about["DatasetLinks"] == {"raw": tree.as_uri()}
    assert "Research use only" in (app.out / "README.md").read_text()
    assert {"*.html", "*.png", "results.csv"} <= set((app.out / ".bidsignore").read_text().splitlines())


def test_numbers_of_the_detections_are_those_of_the_table(made):
    labels = load(made / "sub-01/anat/sub-01_desc-anomalyT1w_dseg.nii.gz")
    mask = load(made / "sub-01/anat/sub-01_desc-anomalyT1w_mask.nii.gz")
    head, *rows = (made / "sub-01/anat/sub-01_desc-anomalyT1w_dseg.tsv").read_text().splitlines()
    assert head.split("\t")[:4] == ["index", "name", "volume_ml", "voxels"]
    assert np.array_equal(labels > 0, mask > 0)
    sizes = {int(row.split("\t")[0]): int(row.split("\t")[3]) for row in rows}
    assert sizes == {int(n): int((labels == n).sum()) for n in np.unique(labels) if n}


def test_numbers_follow_the_axes_of_any_file(tmp_path):
    affine = np.array([[0, 0, -2.0, 0], [-1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]])  # axes P, S, L
    volume = Volume.load(
        write(tmp_path / "scan.nii.gz", np.random.default_rng(0).random((5, 6, 7), np.float32), affine)
    )
    shape = volume.data.shape[1:]
    mask, anomaly = np.zeros(shape, bool), np.zeros(shape, np.float32)
    mask[0, 0, 0], mask[3:5, 3, 5] = True, True
    anomaly[3, 3, 5], anomaly[0, 0, 0] = 0.9, 0.2
    numbers = paint_numbers(find_lesions(mask, anomaly, volume), mask, volume)
    assert (numbers[4, 3, 5], numbers[0, 0, 0], numbers.sum()) == (1, 2, 4)
    assert paint_numbers([], np.zeros_like(mask), volume).sum() == 0


def test_description_of_a_user_stays_and_gets_what_it_lacks(tmp_path, tree):
    out = tree / "derivatives" / "mine"
    out.mkdir(parents=True)
    mine = {
        "Name": "mine",
        "BIDSVersion": "1.8.0",
        "DatasetType": "derivative",
        "DatasetLinks": {"raw": "doi:x"},
    }
    (out / "dataset_description.json").write_text(json.dumps(mine))
    (out / "README").write_text("mine")
    (out / ".bidsignore").write_text("*.log\n*.png")
    describe_dataset(out, [tree])
    about = json.loads((out / "dataset_description.json").read_text())
    assert about["Name"] == "mine"
    assert about["DatasetLinks"] == {"raw": "doi:x", "raw2": "../.."}
    assert not (out / "README.md").exists()
    assert (out / ".bidsignore").read_text().splitlines()[:2] == ["*.log", "*.png"]
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    describe_dataset(out, [tree])
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}
    scan = tree / "sub-01/anat/sub-01_T1w.nii.gz"
    assert format_uri(scan, out) == "bids:raw2:sub-01/anat/sub-01_T1w.nii.gz"
    assert format_uri(tmp_path / "mask.nii.gz", out) == (tmp_path / "mask.nii.gz").as_uri()


def test_results_of_former_names_count_and_are_renamed(app, tree):
    """What a version before wrote is not done again, and nothing of two names is left."""
    app("--participant-label", "01", "--sequences", "T1w")
    naming = Naming("sub-01_T1w", type(app.out)("sub-01/anat"), bids=True)
    names = {path: naming.files(app.out)[kind] for kind, path in naming.former_files(app.out).items()}
    for former, new in names.items():
        if new.exists():
            new.rename(former)
    record = naming.files(app.out)["info"]
    info = json.loads(record.read_text())
    info["files"] = {k: v for k, v in info["files"].items() if k not in ("labels",) and "sidecar" not in k}
    record.write_text(json.dumps(info))
    assert "1 done before" in app("--participant-label", "01", "--sequences", "T1w")[1]
    app("--participant-label", "01", "--sequences", "T1w", "--overwrite")
    assert not any(path.exists() for path in naming.former_files(app.out).values())
    assert naming.files(app.out)["mask"].is_file()
