"""A real head from DICOM to DICOM: a series, dcm2niix, predict --prepare, objects over the series."""

import subprocess

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from tests.helpers.dicom_results import pixels_at, read_frames
from tests.helpers.dicom_series import write_series


@pytest.mark.slow
@pytest.mark.shared
def test_detections_of_a_glioma_are_where_the_mask_has_them(tmp_path, shared_dir):
    image = nib.load(shared_dir / "data/volumes/glioma_flair_head.nii.gz")
    grey = np.rint(image.get_fdata()).astype(np.uint16)
    write_series(tmp_path / "study", grey, image.affine, description="flair", shuffle=True)
    (tmp_path / "nifti").mkdir()
    words = ["dcm2niix", "-z", "y", "-f", "scan", "-o", str(tmp_path / "nifti"), str(tmp_path / "study")]
    subprocess.run(words, check=True, capture_output=True)
    scan, maps, out = tmp_path / "nifti/scan.nii.gz", tmp_path / "maps", tmp_path / "out"
    assert main(["predict", str(scan), "--prepare", "--model", "brain-any", "--out", str(maps)]) == 0
    assert main(["dicom", str(maps), "--source", str(tmp_path / "study"), "--out", str(out)]) == 0
    for kind, end in (("detections", "mask"), ("anomaly", "anomaly")):
        compare(out / f"scan_{kind}.dcm", nib.load(maps / f"scan_{end}.nii.gz"))
    assert len(read_frames(out / "scan_anomaly.dcm")) == image.shape[2]


def compare(path, image):
    """Hold each pixel of an object to the voxel of a NIfTI file at its place, and all voxels to be there."""
    values, total = np.asarray(image.dataobj), 0.0
    for number, affine, frame in read_frames(path):
        points = pixels_at((number, affine, frame)) - image.affine[:3, 3]
        index = points @ np.linalg.inv(image.affine[:3, :3]).T
        assert np.abs(index - np.rint(index)).max() < 1e-3
        stored = values[tuple(np.moveaxis(np.rint(index).astype(int), -1, 0))]
        shown = frame > 0 if frame.dtype == np.uint8 else slice(None)
        assert np.array_equal(frame[shown], stored[shown])
        total += float(frame.astype(float).sum())
    assert values.max() > 0
    assert total == pytest.approx(float(values.astype(float).sum()), rel=1e-9)
