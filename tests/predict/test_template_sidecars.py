"""A BIDS derivative in the space of the template says what each image is, and passes the validator."""

import json
import subprocess

import pytest

from diffad.bids_app.validation import find_validator
from diffad.cli import main
from diffad.io.naming import Naming, find_maps
from diffad.io.spaces import TEMPLATE_SPACE, TEMPLATE_URL, is_record
from tests.helpers.cohorts import brain, write
from tests.helpers.ways import SHAPE, coarsen_template, register_at_once

pytest.importorskip("SimpleITK")
VALIDATOR = find_validator()
SPACE = f"space-{TEMPLATE_SPACE}"


@pytest.fixture
def derivative(tmp_path, model, monkeypatch):
    """Results of one person in the template, as a derivative of a small data set."""
    register_at_once(monkeypatch)
    coarsen_template(monkeypatch)
    monkeypatch.setattr("diffad.report.montage.save_report", lambda out, path: path.write_bytes(b"picture"))
    tree = tmp_path / "study"
    write(tree / "sub-01/anat/sub-01_T1w.nii.gz", brain(0, SHAPE))
    about = {"Name": "small", "BIDSVersion": "1.9.0", "Authors": ["A. One", "B. Two"]}
    (tree / "dataset_description.json").write_text(json.dumps(about))
    out = tmp_path / "derivative"
    words = ["predict", tree, "--model", model, "--out", out, "--threshold", "0.1", "--no-page"]
    assert main([*map(str, words), "--space", TEMPLATE_SPACE, "--device", "cpu"]) == 0
    return out


def read_sidecar(path):
    return json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())


def test_images_in_the_template_have_sidecars_with_source_transform_and_reference(derivative):
    folder = derivative / "sub-01" / "anat"
    images = sorted(folder.glob(f"*{SPACE}*.nii.gz"))
    assert len(images) >= 5
    for path in images:
        about = read_sidecar(path)
        assert about["SpatialReference"] == TEMPLATE_URL
        assert (derivative / about["Transform"].removeprefix("bids::")).is_file()
        source = about["Sources"][0]
        if "desc-scan" in path.name:
            assert source == "bids:raw:sub-01/anat/sub-01_T1w.nii.gz"
        else:
            native = derivative / source.removeprefix("bids::")
            assert native.name == path.name.replace(f"{SPACE}_", "")
            assert native.is_file()
        assert (about.get("Type") == "ROI") == path.name.endswith("_mask.nii.gz")


def test_sidecars_are_no_records_of_scans(derivative):
    naming = Naming("sub-01_T1w", type(derivative)("sub-01/anat"), bids=True)
    assert list(find_maps(derivative).values()) == [naming]
    assert not is_record(naming.files(derivative)["template_anomaly_sidecar"])
    assert is_record(naming.files(derivative)["info"])
    assert not is_record(derivative / "absent.json")


@pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")
def test_derivative_with_template_maps_passes_the_validator(derivative):
    done = subprocess.run(
        [VALIDATOR, str(derivative), "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    template_issues = {i["code"] for i in issues if SPACE in str(i.get("location"))}
    assert template_issues == set()


def test_group_sums_up_a_derivative(derivative, tmp_path):
    out = tmp_path / "group"
    assert main(["group", str(derivative), "--out", str(out), "--include-outside"]) == 0
    assert json.loads((out / "group.json").read_text())["groups"][0]["scans"]
