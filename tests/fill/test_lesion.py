"""Which masks can be filled."""

import numpy as np
import pytest

from diffad.data.volume import Volume, VolumeError
from diffad.fill.lesion import plan_region, read_lesion

SHAPE, AFFINE = (20, 20, 20), np.diag([1.0, 1.0, 2.0, 1.0])
SCAN = Volume(np.ones((1, *SHAPE)), AFFINE)
BRAIN = np.zeros(SHAPE, bool)
BRAIN[2:18, 2:18, 2:18] = True


def box(*low, size=4):
    mask = np.zeros(SHAPE, np.float32)
    mask[tuple(slice(a, a + size) for a in low)] = 1
    return mask


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros(SHAPE), "an empty mask"),
        (box(5, 5, 5) * 0.4, "none above 0.4"),
        (box(5, 5, 5) + 3 * box(12, 12, 12), "several labels"),
        (box(5, 5, 5) * np.linspace(3.5, 99.5, 20)[:, None, None], "no mask"),
        (np.ones((4, 4, 4)), "on its grid"),
    ],
)
def test_what_is_no_mask_is_refused(mask, words):
    with pytest.raises(VolumeError, match=words):
        read_lesion(mask, SCAN)


def test_one_label_of_any_number_and_probabilities_are_masks():
    expected = box(5, 5, 5) > 0
    assert np.array_equal(read_lesion(box(5, 5, 5) * 255, SCAN)[0], expected)
    assert np.array_equal(read_lesion(box(5, 5, 5) * 0.6 + box(11, 11, 11) * 0.4, SCAN)[0], expected)


def test_mask_on_another_grid_comes_by_nearest_neighbour_and_is_named():
    coarse = Volume(box(2, 2, 2)[None, :10, :10, :10], np.diag([2.0, 2.0, 4.0, 1.0]))
    mask, notes = read_lesion(coarse, SCAN)
    assert mask.sum() == pytest.approx(4**3 * 8, rel=0.25)
    assert "resampled" in notes[-1]


def test_mask_that_leaves_the_field_of_view_is_refused():
    moved = np.eye(4)
    moved[:3, 3] = 15
    with pytest.raises(VolumeError, match="field of view"):
        read_lesion(Volume(box(2, 2, 2)[None], moved), SCAN)


def test_mask_outside_the_brain_is_refused_with_its_share():
    lesion = np.zeros(SHAPE, bool)
    lesion[0:2] = True
    with pytest.raises(VolumeError, match="100% outside"):
        plan_region(lesion, BRAIN, SCAN, 0)


def test_mask_that_covers_the_brain_is_refused_with_its_share():
    with pytest.raises(VolumeError, match="100% of the brain"):
        plan_region(BRAIN, BRAIN, SCAN, 2)


def test_mask_grows_in_mm_and_within_the_brain():
    lesion = np.zeros(SHAPE, bool)
    lesion[2, 10, 10] = True
    inside = plan_region(lesion, BRAIN, SCAN, 2).fill_mask
    assert inside[2:6, 10, 10].tolist() == [True, True, True, False]
    assert inside[2, 10, 8:13].tolist() == [False, True, True, True, False]
    assert not inside[~BRAIN].any()


def test_stripped_tumour_is_a_hole_of_the_brain_that_is_filled():
    lesion = box(8, 8, 8) > 0
    region = plan_region(lesion, BRAIN & ~lesion, SCAN, 0)
    assert np.array_equal(region.brain, BRAIN)
    assert np.array_equal(region.fill_mask, lesion)
