"""What console, table, record and page of a cohort say first."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from diffad.predict.results import COLUMNS, FORMER_COLUMNS, Results
from tests.helpers.cohorts import load, write_model

SCOPE = {"modality": "T1", "ages": "5 to 9", "range_mm": [0.0, 40.0], "calibrated_on": "calibrated on toys"}


def registered_brain(folder):
    """A brain in the world of MNI152, in 9 mm voxels."""
    affine = np.diag([9.0, 9.0, 9.0, 1.0])
    affine[:3, 3] = (-90, -117, -81)
    shape = (21, 24, 20)
    centres = [(n - 1) / 2 for n in shape]
    ball = sum(((a - c) / (0.8 * c)) ** 2 for a, c in zip(np.indices(shape), centres, strict=True)) < 1
    data = np.float32(ball * (100 + 20 * np.random.default_rng(0).random(shape)))
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=4)
    folder.mkdir(parents=True, exist_ok=True)
    nib.save(image, folder / "r.nii.gz")
    return folder / "r.nii.gz"


@pytest.fixture(scope="module")
def knowing_model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("m"), settings={"scope": SCOPE, "provenance": {"name": "toy"}})


def rows(out):
    with (out / "results.csv").open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def test_part_that_a_model_knows_is_looked_at_and_said_everywhere(predict, knowing_model, tmp_path):
    scan = registered_brain(tmp_path / "r")
    code, told = predict(scans=[scan], model=knowing_model)
    assert code == 0
    assert (
        "model toy knows T1, axial slices at z = 0 to 40 mm of MNI152, ages 5 to 9; calibrated on toys"
        in told
    )
    analysed = "5 of 16 axial slices"
    assert f"r: analysed {analysed}" in told
    row, info = rows(predict.out)["r"], json.loads((predict.out / "r_info.json").read_text())
    assert (row["model"], row["coverage"][: len(analysed)]) == ("toy", analysed)
    assert row["verdict"] == info["verdict"]
    assert next(iter(info)) == "headline"
    assert info["coverage"]["slices"] == 5
    for page in ("r_report.html", "index.html"):
        assert analysed in (predict.out / page).read_text()
    seen, unseen = (load(predict.out / f"r_{kind}.nii.gz") for kind in ("seen", "unseen"))
    assert not (seen * unseen).any()
    assert ((seen + unseen) > 0).sum() == (load(scan) > 0).sum()
    assert np.flatnonzero(seen.any((0, 1))).tolist() == [9, 10, 11, 12, 13]
    assert not (load(predict.out / "r_anomaly.nii.gz") * unseen).any()


def test_page_made_again_knows_what_was_not_analysed(predict, knowing_model, tmp_path, capsys):
    predict(scans=[registered_brain(tmp_path / "r")], model=knowing_model)
    (predict.out / "r_report.html").unlink()
    assert main(["report", str(predict.out)]) == 0
    capsys.readouterr()
    assert 'id="unseen"' in (predict.out / "r_report.html").read_text()


def test_all_slices_are_looked_at_if_asked_for_and_those_outside_are_said(predict, knowing_model, tmp_path):
    told = predict("--slices", "all", scans=[registered_brain(tmp_path / "r")], model=knowing_model)[1]
    assert "outside what the model knows: 11 of 16 slices lie outside z = 0 to 40 mm" in told
    assert rows(predict.out)["r"]["domain"] == "outside"
    assert not (predict.out / "r_unseen.nii.gz").exists()


def test_millimetres_and_numbers_of_slices(predict, knowing_model, tmp_path):
    scan = registered_brain(tmp_path / "r")
    predict("--slices", "8:20mm", scans=[scan], model=knowing_model)
    assert np.flatnonzero(load(predict.out / "r_seen.nii.gz").any((0, 1))).tolist() == [10, 11]
    told = predict("--slices", "10:12", "--overwrite", scans=[scan], model=knowing_model)[1]
    assert "warning: slices 10:12 are counted on each scan's own grid" in told
    assert predict("--slices", "20:8mm", scans=[scan])[0] == 2


def test_scan_too_short_to_place_is_looked_at_whole(predict, knowing_model, cohort):
    told = predict(scans=[cohort / "s0.nii.gz"], model=knowing_model)[1]
    assert "too short to tell which part of the brain it shows" in told
    assert rows(predict.out)["s0"]["coverage"].endswith("all of the brain")


def test_former_tables_are_read(tmp_path):
    for columns in FORMER_COLUMNS:
        (tmp_path / "results.csv").write_text(",".join(columns) + "\na,ok" + "," * (len(columns) - 2) + "\n")
        row = Results(tmp_path / "results.csv").rows["a"]
        assert list(row) == COLUMNS
        assert row["model"] == ""
