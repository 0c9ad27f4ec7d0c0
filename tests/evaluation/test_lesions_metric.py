"""Lesions found, missed and made up."""

import math

import numpy as np
import pytest

from diffad.evaluation import lesion_wise
from diffad.evaluation.metrics.lesions import LesionCounts


def test_lesions_are_counted_by_size():
    truth, pred = np.zeros((40, 40)), np.zeros((40, 40))
    truth[0:2, 0:2] = 1  # small, touched at a corner only
    truth[10:20, 10:20] = 1  # medium, half found
    truth[20, 20] = 1  # joins it diagonally
    truth[0:25, 26:40] = 1  # large, missed
    pred[1, 1] = pred[10:15, 10:20] = pred[35, 35] = 1
    found = lesion_wise(pred, truth, strata=(71, 300))
    assert found == LesionCounts((1, 1, 0), (1, 1, 1), 1, 3)
    assert found.recall() == pytest.approx(2 / 3)
    assert found.recall("large") == 0
    assert found.precision() == pytest.approx(2 / 3)
    assert found.f1() == pytest.approx(4 / 6)
    assert lesion_wise(pred, truth, overlap=0.5).found == 0
    assert (found + found).total_by == (2, 2, 2)
    assert lesion_wise(pred, truth, spacing=(10, 10), strata=(71, 570)).total_by == (0, 1, 2)


def test_counts_of_scans_add_up_from_nothing():
    one, other = LesionCounts((1, 2, 3), (4, 5, 6), 7, 8), LesionCounts((10, 20, 30), (40, 50, 60), 70, 80)
    assert sum([one, other], LesionCounts()) == LesionCounts((11, 22, 33), (44, 55, 66), 77, 88)


def test_touching_by_corners_is_one_lesion_in_three_dimensions():
    truth = np.zeros((4, 4, 4))
    truth[0, 0, 0] = truth[1, 1, 1] = truth[3, 3, 3] = 1
    assert sum(lesion_wise(truth, truth).total_by) == 2
    empty = lesion_wise(truth * 0, truth * 0)
    assert math.isnan(empty.recall())
    assert math.isnan(empty.f1())


def test_share_that_must_be_found_is_exceeded_strictly():
    truth, pred = np.zeros((6, 6)), np.zeros((6, 6))
    truth[:2, :5] = 1
    pred[0, 0] = 1
    assert lesion_wise(pred, truth, overlap=0.1).found == 0
    assert lesion_wise(pred, truth, overlap=0.09).found == 1
    assert lesion_wise(pred, truth, overlap=0.1).false == 0


def test_strata_include_their_upper_ends():
    truth = np.zeros((9, 9))
    truth[0, :2] = truth[2, :3] = truth[4, :4] = truth[6, :5] = 1
    assert lesion_wise(truth, truth, strata=(2, 4)).total_by == (1, 2, 1)


@pytest.mark.parametrize(("voxels", "stratum"), [(71, 0), (72, 1), (570, 1), (571, 2)])
def test_published_sizes_part_small_medium_and_large(voxels, stratum):
    truth = np.zeros((40, 40))
    truth.flat[:voxels] = 1
    assert lesion_wise(truth, truth).total_by[stratum] == 1


def test_only_what_is_inside_counts():
    truth, pred, inside = np.zeros((9, 9)), np.zeros((9, 9)), np.zeros((9, 9))
    truth[0, 0] = pred[8, 8] = truth[4, 4] = pred[4, 4] = inside[2:7, 2:7] = 1
    assert lesion_wise(pred, truth, inside) == LesionCounts((1, 0, 0), (1, 0, 0), 0, 1)


@pytest.mark.parametrize("options", [{"overlap": 1.0}, {"strata": (5, 2)}, {"spacing": (1.0,)}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        lesion_wise(np.zeros((4, 4)), np.zeros((4, 4)), **options)
    with pytest.raises(ValueError, match="stratum"):
        LesionCounts().recall("huge")
