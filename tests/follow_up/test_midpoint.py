"""The space halfway between two visits: both are treated alike, and ITK gets there by what is stored."""

import numpy as np
import pytest

from diffad.follow_up.midpoint import make_midpoint
from diffad.follow_up.rigid import make_motion
from diffad.prepare.geometry import VoxelGrid, format_itk
from diffad.prepare.read import get_grid
from tests.helpers.heads import CENTRE, affine_of, centroid
from tests.helpers.visits import PLACE, make_visit

sitk = pytest.importorskip("SimpleITK")

MOTION = make_motion(np.radians([8.0, -5.0, 11.0]), np.array([6.0, -4.0, 9.0]), CENTRE)


@pytest.fixture
def visits():
    return make_visit([(PLACE, 8.0)]), make_visit([(PLACE, 8.0)], MOTION)


def bring(midpoint, visit, index):
    return midpoint.bring((visit.labels > 0).astype(np.float32), get_grid(visit.volume), index)


def test_both_visits_meet_halfway(visits):
    midpoint = make_midpoint(*visits, MOTION)
    centres = [centroid(bring(midpoint, visit, i), midpoint.grid.affine) for i, visit in enumerate(visits)]
    np.testing.assert_allclose(centres[0], centres[1], atol=0.3)
    back = [(world @ [*centres[i], 1])[:3] for i, world in enumerate(midpoint.to_visits)]
    np.testing.assert_allclose(back[0], PLACE, atol=0.5)
    np.testing.assert_allclose(back[1], (MOTION @ [*PLACE, 1])[:3], atol=0.5)


def test_swapped_visits_have_the_same_midpoint(visits):
    there, back = make_midpoint(*visits, MOTION), make_midpoint(*visits[::-1], np.linalg.inv(MOTION))
    assert there.grid.shape == back.grid.shape
    np.testing.assert_allclose(there.grid.affine, back.grid.affine, atol=1e-6)
    np.testing.assert_allclose(there.to_visits[0], back.to_visits[1], atol=1e-9)


def test_voxels_are_the_finest_of_both_and_not_below_a_millimetre():
    fine = make_visit(spacing=0.8, shape=(60, 60, 60))
    assert make_midpoint(make_visit(), fine, MOTION).grid.spacing.tolist() == [1, 1, 1]
    assert make_midpoint(make_visit(), make_visit(spacing=4.0), MOTION).grid.spacing.tolist() == [3, 3, 3]


def test_itk_brings_a_visit_to_the_midpoint_by_the_stored_transform(visits, tmp_path):
    midpoint, path = make_midpoint(*visits, MOTION), tmp_path / "visit-2_to_midpoint.tfm"
    path.write_text(format_itk(midpoint.to_visits[1]))
    from diffad.data.volume import Volume

    visit, grid = visits[1], midpoint.grid
    visit.volume.save(visit.volume.data, tmp_path / "visit.nii.gz")
    Volume(np.ones((1, *grid.shape)), grid.affine).save(np.ones(grid.shape), tmp_path / "grid.nii.gz")
    images = [sitk.ReadImage(str(tmp_path / name)) for name in ("visit.nii.gz", "grid.nii.gz")]
    moved = sitk.Resample(*images, sitk.ReadTransform(str(path)), sitk.sitkLinear, 0.0)
    expected = midpoint.bring(visit.volume.data[0], get_grid(visit.volume), 1)
    np.testing.assert_allclose(sitk.GetArrayFromImage(moved).T, expected, atol=0.05)


@pytest.mark.parametrize("places", [[(40, 50, 35), (30, 45, 36)], np.argwhere(np.ones((2, 2, 2))) + 40])
def test_detections_smaller_than_a_voxel_are_all_kept(places):
    labels = np.zeros((80, 96, 72))
    fine = VoxelGrid(labels.shape, affine_of((1.5,) * 3, shape=labels.shape))
    for number, place in enumerate(places, 1):
        labels[tuple(place)] = number
    coarse = make_visit(spacing=6.0, shape=(32, 36, 28))
    moved = make_midpoint(coarse, coarse, MOTION).bring_labels(labels, fine, 0)
    assert set(np.unique(moved)) == set(range(len(places) + 1))
