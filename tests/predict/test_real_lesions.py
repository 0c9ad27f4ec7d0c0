"""What a model finds of outlined lesions is measured, shown and stored beside what it finds of implants."""

import nibabel as nib
import numpy as np
import pytest

from diffad import AnomalyPipeline
from diffad.cli import main
from diffad.predict.real_lesions import LesionCase, read_lesion_cases
from diffad.threshold import Calibration
from tests.helpers.cohorts import brain, write

SHAPE, AFFINE = (40, 44, 36), np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def patients(tmp_path):
    """A table of two patients with a bright ball each, a third whose mask is empty, and healthy heads."""
    rows = ["scan,lesions"]
    for number in range(3):
        scan, lesions = brain(number, SHAPE), np.zeros(SHAPE)
        lesions[16:22, 18:24, 14:20] = number < 2
        write(tmp_path / "patients" / f"p{number}.nii.gz", scan + lesions * scan.max(), AFFINE)
        nib.save(nib.Nifti1Image(lesions.astype(np.uint8), AFFINE), tmp_path / f"patients/l{number}.nii.gz")
        write(tmp_path / "heads" / f"s{number}.nii.gz", brain(10 + number, SHAPE), AFFINE)
        rows.append(f"p{number}.nii.gz,l{number}.nii.gz")
    (tmp_path / "patients" / "table.csv").write_text("\n".join(rows))
    return tmp_path


def calibrate(folder, model, *words):
    out = folder / "ours"
    table = ["--patients", str(folder / "patients" / "table.csv")]
    return main(
        ["calibrate", str(folder / "heads"), "--model", str(model), "--out", str(out), *table, *words]
    )


def test_real_lesions_stand_beside_implanted_ones(model, patients, capsys):
    assert calibrate(patients, model, "--sensitivity", "1", "--fpr", "0.1") == 0
    told = capsys.readouterr()
    assert "left out p2: " in told.err
    text = (patients / "ours" / "sensitivity.md").read_text()
    assert "| real | 1 to 5 ml | 2 |" in text
    assert "| implanted | " in text
    assert "| real | 1 to 5 ml | 2 |" in told.out
    pipe = AnomalyPipeline.from_pretrained(patients / "ours")
    rows = Calibration.from_dict(pipe.config.calibration).sensitivity
    assert {row.kind for row in rows} == {"dark", "bright", "textured", "mass_effect", "real"}
    real = [row for row in rows if row.kind == "real"]
    assert [(row.lesions, row.low_ml, row.rate) for row in real] == [(2, 1.0, 0.01), (2, 1.0, 0.1)]
    assert real[0].voxel_share <= real[1].voxel_share


def test_table_says_what_it_lacks(tmp_path, model, patients, capsys):
    table = patients / "patients" / "table.csv"
    table.write_text("scan,mask\np0.nii.gz,l0.nii.gz\n")
    assert calibrate(patients, model) == 1
    assert f"{table}, line 2: expected scan and lesions, found scan, mask" in capsys.readouterr().err
    assert not (patients / "ours").exists()
    table.write_text("scan,lesions\n")
    with pytest.raises(ValueError, match="expected scans and lesions, found no row"):
        read_lesion_cases(table)
    table.write_text("scan,lesions\np0.nii.gz,l9.nii.gz\n")
    with pytest.raises(ValueError, match=r"line 2: expected a file, found none at .*l9\.nii\.gz"):
        read_lesion_cases(table)


def test_patients_of_whom_none_can_be_used_cost_only_their_figures(model, patients, capsys):
    (patients / "patients" / "table.csv").write_text("scan,lesions\np2.nii.gz,l2.nii.gz\n")
    assert calibrate(patients, model) == 0
    assert "warning: no scan with lesions could be used" in capsys.readouterr().err
    assert not (patients / "ours" / "sensitivity.md").exists()


def test_what_of_a_lesion_is_not_analysed_is_said(model, patients, capsys):
    lesions = np.zeros(SHAPE, dtype=np.uint8)
    lesions[16:22, 18:24, 14:20] = lesions[0, 0, 0:24] = 1  # 216 voxels in the brain, 24 outside
    nib.save(nib.Nifti1Image(lesions, AFFINE), patients / "patients" / "l0.nii.gz")
    assert calibrate(patients, model) == 0
    told = capsys.readouterr().err
    assert "warning: p0: 10 % of its lesions lies outside of what is analysed, and does not count" in told
    assert (
        "warning: p1: outside what the model knows" in told
    )  # as its ball is far brighter than healthy heads
    assert told.count("of its lesions lies outside") == 1


def test_paths_of_a_table_lie_beside_it(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("scan,lesions,brain\na.nii,sub/b.nii,c.nii\nd.nii,e.nii,\n")
    for name in ("a.nii", "sub/b.nii", "c.nii", "d.nii", "e.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    first = LesionCase(tmp_path / "a.nii", tmp_path / "sub/b.nii", tmp_path / "c.nii")
    assert read_lesion_cases(table) == [first, LesionCase(tmp_path / "d.nii", tmp_path / "e.nii", None)]
