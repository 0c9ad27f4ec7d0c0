"""Folders of single slices go the way of all scans."""

import nibabel as nib
import numpy as np
from PIL import Image

from tests.helpers.cohorts import inside


def pixels(seed=0):
    """A slice of a brain, anterior at the top."""
    disc = inside((24, 28, 3))[..., 1].T[::-1]
    return (disc * np.random.default_rng(seed).integers(90, 160, disc.shape)).astype(np.uint8)


def test_images_get_maps_of_their_size(predict, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(pixels(seed)).save(folder / f"slice{seed}.png")
    np.save(tmp_path / "array.npy", pixels(2))
    code, text = predict(scans=[folder, tmp_path / "array.npy"])
    assert code == 0, text
    assert "3 single slices have no voxel size" in text
    for name in ("slice0", "slice1", "array"):
        image = nib.load(predict.out / f"{name}_anomaly.nii.gz")
        assert image.shape == (24, 28, 1)
        assert np.abs(image.get_fdata()).max() > 0


def test_slice_of_two_axes_is_looked_at(predict, tmp_path):
    nib.save(nib.Nifti1Image(pixels()[::-1].T, np.diag([-2.0, 2.0, 2.0, 1.0])), tmp_path / "flat.nii.gz")
    code, text = predict(scans=[tmp_path / "flat.nii.gz"])
    assert code == 0, text
    assert nib.load(predict.out / "flat_anomaly.nii.gz").shape[:2] == (24, 28)
