"""Lesions implanted in native heads come back to where they lie, through all that the command does."""

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.data.volume import Volume
from diffad.inference.lesions import read_lesions
from diffad.io.subjects import Subject
from diffad.pipeline import AnomalyPipeline
from diffad.predict import Cohort, Options
from tests.helpers.cohorts import write_model

pytest.importorskip("SimpleITK")
pytest.importorskip("deepbet")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "place"), [("healthy_t1_head", (0.6, 0.55, 0.6)), ("glioma_t1_head", (0.42, 0.5, 0.6))]
)
def test_implanted_lesion_is_found_where_it_lies(shared_dir, tmp_path, monkeypatch, name, place):
    from diffad.prepare import PrepareOptions as PrepareOptions

    scan = nib.load(shared_dir / "data" / "volumes" / f"{name}.nii.gz")
    data, spacing = scan.get_fdata(dtype=np.float32), np.array(scan.header.get_zooms()[:3])
    centre = np.round(np.array(place) * data.shape).astype(int)
    offsets = [(axis - c) * s for axis, c, s in zip(np.indices(data.shape), centre, spacing, strict=True)]
    data[sum(o**2 for o in offsets) <= 8.0**2] = 2 * np.percentile(data, 99.5)
    nib.save(nib.Nifti1Image(data, scan.affine, scan.header), tmp_path / "scan.nii.gz")

    pipe = AnomalyPipeline.from_pretrained(write_model(tmp_path / "model"))
    real = AnomalyPipeline.__call__

    def bright(self, scan: Volume, mask=None, **options):
        """Stands in for a model that sees what is bright; all around it is real."""
        out = real(self, scan, mask, slices=(90, 92), **{k: v for k, v in options.items() if k != "slices"})
        image = torch.from_numpy(scan.data)[None]
        limit = 1.5 * float(image[out.brain].quantile(0.5))
        out.anomaly_map = (image - limit).clamp(min=0) * out.brain
        out.mask = out.anomaly_map > 0.2 * out.anomaly_map.max()
        out.analysed = out.brain  # it looks at all slices, not only at the two that were quick
        return out

    monkeypatch.setattr(AnomalyPipeline, "__call__", bright)
    cohort = Cohort(pipe, tmp_path / "out", Options(threshold="otsu"), prepare=PrepareOptions())
    assert cohort.run([Subject("scan", (tmp_path / "scan.nii.gz",))]).complete
    found = max(read_lesions(tmp_path / "out" / "scan_lesions.json"), key=lambda lesion: lesion.volume_ml)
    error = np.abs(np.array(found.centre_voxel) - centre)
    print(
        f"{name}: implanted at {centre}, found at {np.round(found.centre_voxel, 2)}, {found.volume_ml:.2f} ml"
    )
    assert (error <= 1).all(), (centre, found)
