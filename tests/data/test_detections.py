"""Detections are numbered from 1, and belong together by faces, edges or corners as is asked for."""

import numpy as np
import pytest

from diffad.data.detections import label_detections


@pytest.mark.parametrize(("axes", "count"), [(1, 4), (2, 3), (3, 2)])
def test_neighbours_belong_together_over_as_many_axes_as_are_given(axes, count):
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[1, 1, 1] = mask[1, 2, 2] = mask[2, 3, 3] = True  # by an edge, then by a corner
    mask[6, 6, 5:7] = True
    labels = label_detections(mask, axes)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == set(range(count + 1))
    assert ((labels > 0) == mask).all()


def test_corners_join_by_default():
    mask = np.zeros((4, 4, 4), dtype=bool)
    assert label_detections(mask).max() == 0
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert label_detections(mask).max() == 1
