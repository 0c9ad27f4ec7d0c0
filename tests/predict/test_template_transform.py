"""The saved transform, read by SimpleITK, makes of the native files those in the template, and leads back."""

import numpy as np
import pytest

from diffad.io.naming import RESULT_SUFFIXES
from diffad.io.spaces import TEMPLATE_SPACE, TRANSFORM
from tests.helpers.cohorts import AFFINE, brain, info, write
from tests.helpers.ways import SHAPE, TO_NATIVE, coarsen_template, register_at_once

sitk = pytest.importorskip("SimpleITK")
TURN = np.array([[1, 0.07, 0, 0.3], [-0.07, 1, 0.05, 0.2], [0, -0.05, 1, 0.1], [0, 0, 0, 1.0]])
"""Turns the way a little about the middle of the scan, so that no voxel falls on another."""
FLIP = np.diag([-1.0, 1, 1, 1])
FLIP[0, 3] = SHAPE[0] - 1


@pytest.fixture(params=["plain", "flipped"])
def results(request, predict, tmp_path, monkeypatch):
    """Results of one scan that is stored to the right or to the left."""
    affine = AFFINE
    middle = np.eye(4)
    middle[:3, 3] = affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    monkeypatch.setattr("tests.helpers.ways.TO_NATIVE", middle @ TURN @ np.linalg.inv(middle) @ TO_NATIVE)
    register_at_once(monkeypatch)
    coarsen_template(monkeypatch)
    data = brain(0, SHAPE)
    if request.param == "flipped":
        data, affine = data[::-1], affine @ FLIP
    scan = write(tmp_path / "scans" / "s0.nii.gz", data, affine)
    code, told = predict("--space", TEMPLATE_SPACE, "--no-page", "--threshold", "0.1", scans=(scan,))
    assert code == 0, told
    return predict.out


def read(folder, kind):
    return sitk.ReadImage(str(folder / f"s0{RESULT_SUFFIXES[kind]}"), sitk.sitkFloat32)


def carry(folder, image, like, interpolator, inverse=False):
    transform = sitk.ReadTransform(str(folder / f"s0{RESULT_SUFFIXES[TRANSFORM]}"))
    transform = transform.GetInverse() if inverse else transform
    return sitk.GetArrayFromImage(sitk.Resample(image, like, transform, interpolator, 0.0))


@pytest.mark.parametrize("kind", ["mask", "seen"])
def test_masks_take_the_nearest_voxel(results, kind):
    ours = read(results, f"template_{kind}")
    nearest = carry(results, read(results, kind), ours, sitk.sitkNearestNeighbor)
    linear = carry(results, read(results, kind), ours, sitk.sitkLinear) > 0.5
    values = sitk.GetArrayFromImage(ours)
    assert values.any()
    assert np.array_equal(values, nearest)
    assert not np.array_equal(values, linear)  # so that the test can tell


def test_maps_are_interpolated_linearly_and_cut_to_what_was_analysed(results):
    ours, seen = read(results, "template_anomaly"), sitk.GetArrayFromImage(read(results, "template_seen"))
    expected = carry(results, read(results, "anomaly"), ours, sitk.sitkLinear) * seen
    values = sitk.GetArrayFromImage(ours)
    assert values.max() > 0.05
    assert np.abs(values - expected).max() < 1e-5


def test_inverse_leads_back_to_the_native_grid(results):
    native = read(results, "seen")
    returned = carry(results, read(results, "template_seen"), native, sitk.sitkNearestNeighbor, inverse=True)
    values = sitk.GetArrayFromImage(native)
    assert 2 * (returned * values).sum() / (returned + values).sum() > 0.9


def test_points_of_record_and_transform_are_the_same(results):
    matrix = np.array(info(results, "s0")["spaces"][TEMPLATE_SPACE]["matrix"])
    transform = sitk.ReadTransform(str(results / f"s0{RESULT_SUFFIXES[TRANSFORM]}"))
    lps = np.array([-1.0, -1, 1])
    for point in ([10.0, 20, 30], [-15.0, 4, 7]):
        there = (matrix @ [*point, 1.0])[:3]
        assert np.abs(np.array(transform.TransformPoint((there * lps).tolist())) * lps - point).max() < 1e-5
