"""Fills that are there already: of the same request, of another, or damaged."""

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from tests.helpers.cohorts import brain


@pytest.fixture
def fill(tmp_path, model, capfd):
    """Fill a scan, and return exit code, what was said, and the folder."""
    scan, lesion = tmp_path / "a.nii.gz", tmp_path / "a_lesion.nii.gz"
    data = brain()
    nib.save(nib.Nifti1Image(data, np.eye(4)), scan)
    mask = np.zeros(data.shape, np.uint8)
    mask[tuple(slice(n // 2 - 2, n // 2 + 2) for n in data.shape)] = 1
    nib.save(nib.Nifti1Image(mask, np.eye(4)), lesion)

    def run(*words):
        command = ["fill", str(scan), "--lesion", str(lesion), "--model", str(model), "--start-level", "20"]
        code = main([*command, "--steps", "2", "--out", str(tmp_path / "out"), *words])
        told = capfd.readouterr()
        return code, told.out + told.err

    run.folder, run.lesion = tmp_path / "out", lesion
    return run


def test_same_request_is_not_done_twice(fill):
    assert fill()[0] == 0
    before = (fill.folder / "a_filled.nii.gz").stat().st_mtime_ns
    code, text = fill("--batch-size", "3")
    assert (code, "filled before" in text) == (0, True)
    assert (fill.folder / "a_filled.nii.gz").stat().st_mtime_ns == before


def test_another_request_is_refused_and_says_what_differs(fill):
    assert fill()[0] == 0
    code, text = fill("--seed", "5", "--dilate", "3")
    assert code == 1
    assert "found one with other dilate, seed" in text
    image = nib.load(fill.lesion)
    nib.save(nib.Nifti1Image(np.roll(np.asarray(image.dataobj), 1, 0), image.affine), fill.lesion)
    assert "found one with other files" in fill()[1]
    assert fill("--overwrite")[0] == 0
    assert "filled before" in fill()[1]


@pytest.mark.parametrize("name", ["a_filled.nii.gz", "a_fillmask.nii.gz", "a_filled.png"])
def test_damaged_fill_is_made_again(fill, name):
    assert fill()[0] == 0
    good = (fill.folder / "a_filled.nii.gz").read_bytes()
    path = fill.folder / name
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    code, text = fill()
    assert code == 0
    assert f"{name} is not what was written, by its checksum; it is made again" in text
    assert nib.load(fill.folder / "a_filled.nii.gz").get_fdata().any()
    assert len((fill.folder / "a_filled.nii.gz").read_bytes()) == len(good)
