"""Detections brought to another grid keep their pieces, and lose their crumbs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from diffad.data.detections import label_detections
from diffad.prepare.fragments import drop_crumbs


def test_crumbs_of_a_detection_go_and_its_pieces_stay():
    labels = np.zeros((12, 12, 12), dtype=np.int32)
    labels[0:4, 0:4, 0:4] = 1  # 64 voxels
    labels[6:8, 0:2, 0:3] = 1  # 12: more than a tenth of 77
    labels[11, 11, 11] = 1
    left = drop_crumbs(labels)
    assert left.sum() == 76
    assert not left[11, 11, 11]


def test_small_detection_beside_a_large_one_is_no_crumb_of_it():
    labels = np.zeros((12, 12, 12), dtype=np.int32)
    labels[0:5, 0:5, 0:5] = 1
    labels[9, 9, 9] = 2
    assert drop_crumbs(labels)[9, 9, 9]


def test_detections_that_touch_by_a_corner_are_one():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    assert label_detections(mask).max() == 2
    assert not drop_crumbs(np.zeros((4, 4, 4), dtype=np.int32)).any()


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.int32, (5, 6, 7), elements=st.integers(0, 3)))
def test_no_detection_is_lost_and_nothing_is_added(labels):
    left = drop_crumbs(labels)
    assert not left[labels == 0].any()
    for number in range(1, 4):
        own = labels == number
        assert left[own].any() == own.any()
        pieces, count = ndimage.label(own, np.ones((3, 3, 3)))
        sizes = [(pieces == k).sum() for k in range(1, count + 1)]
        for k, size in enumerate(sizes, 1):
            is_whole = left[pieces == k].all()
            assert is_whole or not left[pieces == k].any()
            assert is_whole == (size >= min(max(sizes), 0.1 * sum(sizes)))
