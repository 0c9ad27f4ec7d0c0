"""Real heads: a healthy one, a glioma in three sequences on three grids, and a CT template."""

import numpy as np
import pytest

from diffad.data.masks import load_mask
from diffad.data.volume import Volume
from diffad.prepare import PrepareOptions, prepare
from diffad.prepare.template import load_mni152
from tests.helpers.heads import blob, centroid, world

pytestmark = [pytest.mark.slow, pytest.mark.shared]


@pytest.fixture(scope="module")
def volumes(shared_dir):
    pytest.importorskip("deepbet")
    return shared_dir / "data" / "volumes"


@pytest.fixture(scope="module")
def glioma(volumes):
    return prepare([volumes / f"glioma_{name}_head.nii.gz" for name in ("t1c", "t1", "flair")])


@pytest.fixture(scope="module")
def healthy(volumes):
    return prepare(volumes / "healthy_t1_head.nii.gz")


@pytest.fixture(scope="module")
def ct(volumes):
    return prepare(volumes / "ct_template_hu_stripped.nii.gz", PrepareOptions(modality="ct"))


@pytest.fixture(params=["glioma", "healthy", "ct"])
def result(request):
    return request.getfixturevalue(request.param)


def test_brain_lies_on_the_template(result):
    truth = load_mni152().brain
    assert result.volume.data.shape[1:] == truth.shape
    assert np.allclose(result.volume.affine, load_mni152().grid.affine)
    assert 2 * (result.brain & truth).sum() / (result.brain.sum() + truth.sum()) > 0.95
    assert result.record["warnings"] == []


def test_landmarks_return_within_a_voxel(result):
    points = world(result.brain.shape, result.volume.affine)
    for landmark in ([30.0, 10, 30], [-35.0, -40, 20], [10.0, -60, 5], [-20.0, 30, 15]):
        at = result.to_native[:3, :3] @ landmark + result.to_native[:3, 3]
        returned = result.back(blob(points, np.array(landmark), 8.0))
        error = centroid(returned, result.native.affine) - at
        assert np.abs(np.linalg.solve(result.native.affine[:3, :3], error)).max() < 1


def test_lesion_implanted_in_the_scan_returns_within_a_voxel(volumes, result):
    grid = result.native.affine
    at = result.to_native[:3, :3] @ [25.0, -10, 35] + result.to_native[:3, 3]
    points = world(result.native_brain.shape, grid)
    lesion = blob(points, at, 6.0) * 1000
    scan = Volume(result.native.data[:1] + lesion[None], grid)
    options = PrepareOptions(**result.record["options"] | {"brain": "given", "reference": 0})
    again, before = (
        prepare(s, options, result.native_brain) for s in (scan, Volume(result.native.data[:1], grid))
    )
    seen = np.clip(again.volume.data[0] / result.volume.data[0][result.brain].mean() - 3, 0, None)
    returned = again.back(seen)
    error = np.linalg.solve(grid[:3, :3], centroid(returned, grid) - at)
    assert np.abs(error).max() < 1
    moved = np.linalg.norm((again.to_native - before.to_native)[:3] @ [25.0, -10, 35, 1])
    assert moved < 3  # mm: a lesion must not pull the registration


def test_given_mask_of_the_glioma_and_deepbet_agree(volumes, glioma):
    scan = volumes / "glioma_t1c_head.nii.gz"
    given = load_mask(volumes / "glioma_t1c_brain_mask.nii.gz", Volume.load(scan))
    assert 2 * (given & glioma.native_brain).sum() / (given.sum() + glioma.native_brain.sum()) > 0.95
    moved = prepare(scan, PrepareOptions(bias=False), volumes / "glioma_t1c_brain_mask.nii.gz")
    point = np.array([20.0, -20, 20, 1])
    assert np.linalg.norm(((moved.to_native - glioma.to_native) @ point)[:3]) < 3  # mm


def test_ct_template_keeps_its_units_and_its_place(ct):
    assert 20 < np.median(ct.volume.data[0][ct.brain]) < 45
    assert (ct.volume.data[0][~ct.brain] == 0).all()
    assert np.abs(ct.to_native - np.eye(4))[:3, :3].max() < 0.05  # it is a template of the same space
    assert np.linalg.norm(ct.to_native[:3, 3]) < 3
