"""Painted heads become files that a model can be calibrated on."""

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.cli.app import main
from diffad.data.painted_scans import write_scans
from diffad.data.volume import Volume
from diffad.inference.contrasts import find_contrast
from tests.helpers.label_maps import save_labels

WORDS = ["smoke", "variant=smoke", "space={size: 32, axis: axial}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    maps, out = (tmp_path_factory.mktemp(name) for name in ("maps", "out"))
    for i in range(2):
        save_labels(maps / "val" / f"sub-{i}_dseg.nii.gz", seed=i)
    data = f"data={{name: labels, root: {maps}, contrast: [t2, flair]}}"
    assert main(["data", "paint", "smoke", data, "--out", str(out), "--split", "val"]) == 0
    return out


def test_each_contrast_has_a_folder_named_like_its_site(folder):
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.nii.gz"))
    assert paths == ["painted-flair/sub-002_FLAIR.nii.gz", "painted-t2/sub-001_T2w.nii.gz"]


def test_a_file_holds_a_brain_of_its_contrast_without_skull(folder):
    for path in folder.rglob("*.nii.gz"):
        image = nib.load(path)
        assert np.allclose(image.affine[:3, :3], 2 * np.eye(3))
        data = image.get_fdata()
        brain = np.squeeze(data) > 0
        assert 0.5e6 < brain.sum() * 8 < 2.5e6
        volume = Volume.load(path)
        assert find_contrast(volume, torch.from_numpy(volume.data[0] > 0)) == path.parent.name[8:].upper()


def test_a_folder_that_holds_an_older_set_is_refused_by_name(tmp_path, capsys):
    """A calibration takes all scans of a folder, those of another contrast of an older set, too."""
    save_labels(tmp_path / "maps" / "val" / "sub-0_dseg.nii.gz")
    old = tmp_path / "out" / "painted-t1" / "sub-001_T1w.nii.gz"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    data = f"data={{name: labels, root: {tmp_path / 'maps'}, contrast: t2}}"
    assert main(["data", "paint", "smoke", data, "--out", str(tmp_path / "out")]) != 0
    assert f"{tmp_path / 'out'}: expected a new folder for the healthy scans" in capsys.readouterr().err
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == [old]


def test_a_library_call_refuses_an_older_set_too(tmp_path):
    (tmp_path / "scan.nii.gz").touch()
    with pytest.raises(ValueError, match=r"expected a new folder for the healthy scans, found something"):
        write_scans(None, tmp_path)


def test_images_cannot_be_written_as_scans(tmp_path):
    data = f"data={{name: images, root: {tmp_path}}}"
    assert main(["data", "paint", "smoke", data, "--out", str(tmp_path / "out")]) != 0
    assert not (tmp_path / "out").exists()
