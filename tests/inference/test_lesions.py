"""Detections as a table: against scipy, on any grid, and on disk."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffad.data.volume import Volume
from diffad.inference.lesions import read_lesions, write_lesions
from diffad.inference.output import AnomalyOutput

SHAPE = (12, 14, 10)
TURN = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
GRIDS = {
    "ras": np.diag([1.0, 2.0, 3.0, 1.0]),
    "las": np.array([[-1.0, 0, 0, 11], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]),
    "oblique": TURN @ np.diag([1.0, 2.0, 3.0, 1.0]),
    "turned": np.array([[0, 0, -3.0, 5], [1, 0, 0, 2], [0, 2, 0, -7], [0, 0, 0, 1]]),
}


def result(mask, anomaly=None, p_value=None, volume=None):
    mask = torch.from_numpy(np.asarray(mask, bool))[None, None]
    anomaly = mask.float() if anomaly is None else torch.from_numpy(np.float32(anomaly))[None, None]
    p_value = None if p_value is None else torch.from_numpy(np.float32(p_value))[None, None]
    volume = volume or Volume(np.ones((1, *mask.shape[2:])), np.eye(4))
    image = torch.ones(mask.shape)
    parts = {"image": image, "brain": image > 0, "volume": volume, "p_value": p_value}
    return AnomalyOutput(anomaly, image, mask, torch.zeros(1), {}, **parts)


@given(seed=st.integers(0, 10_000), connectivity=st.sampled_from([6, 18, 26]))
@settings(max_examples=25, deadline=None)
def test_components_are_those_of_scipy_and_share_out_the_mask(seed, connectivity):
    mask = np.random.default_rng(seed).random(SHAPE) > 0.85
    found = result(mask).lesions(connectivity)
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    assert len(found) == ndimage.label(mask, structure)[1]
    assert sum(lesion.voxels for lesion in found) == mask.sum()
    assert sum(lesion.volume_ml for lesion in found) == pytest.approx(mask.sum() / 1000, abs=1e-4)
    assert [lesion.number for lesion in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("grid", GRIDS)
def test_places_are_those_of_the_file(grid, tmp_path):
    data = np.ones(SHAPE, np.float32)
    data[3:6, 4:8, 2:4], data[4, 5, 3] = 5, 9
    nib.save(nib.Nifti1Image(data, GRIDS[grid]), tmp_path / "a.nii.gz")
    volume = Volume.load(tmp_path / "a.nii.gz")
    (found,) = result(volume.data[0] > 1, volume.data[0], volume=volume).lesions()
    assert found.centre_voxel == pytest.approx((4, 5.5, 2.5))
    assert found.peak_voxel == (4, 5, 3)
    assert found.centre_mm == pytest.approx((GRIDS[grid] @ [4, 5.5, 2.5, 1])[:3], abs=1e-3)
    spacing = np.linalg.norm(GRIDS[grid][:3, :3], axis=0)
    assert found.extent_mm == pytest.approx(spacing * (3, 4, 2), abs=1e-3)
    assert (found.voxels, found.volume_ml) == (24, pytest.approx(24 * 6 / 1000))
    assert (found.mean, found.peak) == (pytest.approx((23 * 5 + 9) / 24), 9)


def test_highest_peak_goes_first_and_small_ones_can_be_left_out():
    mask, anomaly = np.zeros(SHAPE, bool), np.zeros(SHAPE)
    mask[0, 0, 0], mask[5:8, 5:8, 5:8] = True, True
    anomaly[0, 0, 0], anomaly[6, 6, 6] = 2, 1
    assert [lesion.voxels for lesion in result(mask, anomaly).lesions()] == [1, 27]
    assert [lesion.voxels for lesion in result(mask, anomaly).lesions(smallest_ml=0.002)] == [27]


def test_p_value_is_the_smallest_inside():
    mask, p_value = np.zeros(SHAPE, bool), np.full(SHAPE, 0.001)
    mask[2:4, 2:4, 2:4], p_value[2:4, 2:4, 2:4], p_value[3, 3, 3] = True, 0.2, 0.05
    assert result(mask, p_value=p_value).lesions()[0].p_value == pytest.approx(0.05)
    assert result(mask).lesions()[0].p_value is None


def test_nothing_detected_is_an_empty_table_that_is_read_again(tmp_path):
    paths = write_lesions(result(np.zeros(SHAPE)).lesions(), tmp_path, "a")
    assert read_lesions(paths["json"]) == []
    assert len(paths["csv"].read_text().splitlines()) == 1


def test_files_say_what_was_found(tmp_path):
    mask = np.zeros(SHAPE)
    mask[1:3, 1:3, 1:3] = mask[8, 8, 8] = 1
    found = result(mask).lesions()
    paths = write_lesions(found, tmp_path, "a")
    assert {p.name for p in paths.values()} == {"a_lesions.csv", "a_lesions.json"}
    assert read_lesions(paths["json"]) == found
    rows = list(csv.DictReader(paths["csv"].open()))
    assert [float(r["volume_ml"]) for r in rows] == [lesion.volume_ml for lesion in found]
    assert float(rows[0]["centre_x_mm"]) == found[0].centre_mm[0]


def test_what_cannot_be_listed_is_said(tmp_path):
    with pytest.raises(ValueError, match="6, 18 or 26, got 8"):
        result(np.ones(SHAPE)).lesions(8)
    tensor = result(np.ones(SHAPE))
    tensor.volume = None
    with pytest.raises(ValueError, match="result of a volume"):
        tensor.lesions()
    (tmp_path / "x.json").write_text(json.dumps({"lesions": [{"number": 1}]}))
    with pytest.raises(ValueError, match=r"x.json: expected lesions"):
        read_lesions(tmp_path / "x.json")
