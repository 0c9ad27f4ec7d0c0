"""Scans and masks that are no single NIfTI file: FreeSurfer's MGH, and pairs of header and image."""

import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from tests.helpers.cohorts import brain, inside

CONFORMED = np.array([[-2.0, 0, 0, 24], [0, 0, 2.0, -14], [0, -2.0, 0, 28], [0, 0, 0, 1]])
"""Affine of axes that run left, inferior, anterior, as FreeSurfer stores them."""
SHAPE = (24, 28, 26)


def lesion():
    mask = np.zeros(SHAPE, np.uint8)
    mask[8:12, 10:14, 13:16] = 1
    return mask


def write(folder, kind, end):
    """Write a scan, its lesion and its brain in one format; the background of the scan is no brain."""
    folder.mkdir()
    voxels = np.round(brain(shape=SHAPE)).astype(np.uint8)
    voxels[~inside(SHAPE)] = 7
    contents = {"": voxels, "_lesion": lesion(), "_brain": inside(SHAPE).astype(np.uint8)}
    for name, content in contents.items():
        nib.save(kind(content, CONFORMED), folder / f"a{name}{end}")
    return voxels


@pytest.mark.parametrize(
    ("kind", "end"), [(nib.MGHImage, ".mgz"), (nib.MGHImage, ".mgh"), (nib.Nifti1Pair, ".hdr")]
)
def test_what_is_no_single_nifti_file_becomes_one(tmp_path, model, kind, end):
    voxels = write(tmp_path / "in", kind, end)
    words = ["--lesion", "_lesion", "--mask", "_brain", "--model", str(model), "--steps", "1"]
    words += ["--start-level", "20", "--dilate", "0", "--out", str(tmp_path / "out")]
    assert main(["fill", str(tmp_path / "in"), *words]) == 0
    image = nib.load(tmp_path / "out" / "a_filled.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert np.array_equal(image.affine, CONFORMED)
    hole = np.asarray(nib.load(tmp_path / "out" / "a_fillmask.nii.gz").dataobj)
    assert np.array_equal(hole, lesion())
    result = np.asarray(image.dataobj)
    assert np.array_equal(result[hole == 0], voxels[hole == 0])
    assert (result[hole > 0] != voxels[hole > 0]).mean() > 0.9
    record = json.loads((tmp_path / "out" / "a_filled.json").read_text())
    assert record["scan"].endswith(f"a{end}")
    assert record["lesion"].endswith(f"a_lesion{end}")


def test_parcellation_of_freesurfer_is_no_lesion_mask(tmp_path, model, capfd):
    write(tmp_path / "in", nib.MGHImage, ".mgz")
    labels = lesion().astype(np.int32) * 1035
    labels[3:6, 3:6, 3:6] = 17
    nib.save(nib.MGHImage(labels, CONFORMED), tmp_path / "in" / "aparc.mgz")
    words = ["--lesion", str(tmp_path / "in" / "aparc.mgz"), "--model", str(model)]
    assert main(["fill", str(tmp_path / "in" / "a.mgz"), *words, "--out", str(tmp_path / "out")]) == 1
    assert "aparc.mgz: expected one mask of 0 and 1, found several labels" in capfd.readouterr().err
    assert not (tmp_path / "out" / "a_filled.nii.gz").exists()
