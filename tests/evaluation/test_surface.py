"""Distances between surfaces of boxes, in closed form."""

import math

import numpy as np
import pytest

from diffad.evaluation import hd95, surface_dice


def boxes(shift, shape=(30, 30, 12)):
    a, b = np.zeros(shape, bool), np.zeros(shape, bool)
    a[5:15, 5:15, 3:8] = True
    b[5 + shift : 15 + shift, 5:15, 3:8] = True
    return a, b


def test_surfaces_of_a_shifted_box_are_as_far_apart_as_it_was_shifted():
    a, b = boxes(4)
    assert hd95(a, b) == pytest.approx(4)
    assert hd95(a, b, spacing=(0.5, 1, 3)) == pytest.approx(2)
    assert hd95(a, a) == 0
    assert surface_dice(a, a) == 1
    assert surface_dice(a, b, tolerance_mm=4) == 1
    assert surface_dice(a, b, tolerance_mm=1) < 1
    assert surface_dice(a, b, (0.2, 1, 1), tolerance_mm=1) == 1
    assert hd95(a[..., 4], b[..., 4]) == pytest.approx(4)


def test_empty_surfaces():
    a, empty = boxes(0)[0], np.zeros((30, 30, 12), bool)
    assert math.isnan(hd95(a, empty))
    assert math.isnan(hd95(empty, empty))
    assert surface_dice(a, empty) == 0
    assert math.isnan(surface_dice(empty, empty))


@pytest.mark.parametrize("measure", [hd95, surface_dice])
def test_bad_input_is_refused(measure):
    a, b = boxes(0)
    with pytest.raises(ValueError, match="shape"):
        measure(a, b[1:])
    with pytest.raises(ValueError, match="0 and 1"):
        measure(a * 255, b)
    with pytest.raises(ValueError, match="3 edges"):
        measure(a, b, (1.0, 1.0))
