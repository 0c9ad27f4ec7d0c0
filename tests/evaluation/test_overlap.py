"""Counts at one threshold, by hand."""

import math

import pytest

from diffad.evaluation import Counts


def test_confusion_is_not_swapped():
    counts = Counts.of([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 1, 1, 0, 0, 0, 0])
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (1, 2, 3, 4)
    assert counts.precision() == 1 / 3
    assert counts.recall() == 1 / 4
    assert counts.fpr() == 2 / 6
    assert counts.dice() == 2 / 7


def test_counts_add_up_and_stay_inside():
    a, b = Counts.of([1, 0], [1, 1]), Counts.of([1, 0, 1], [0, 0, 1], inside=[1, 1, 0])
    assert a + b == Counts(1, 1, 1, 1)
    nothing = Counts.of([0, 0], [0, 0])
    assert math.isnan(nothing.dice())
    assert nothing.dice(empty=1.0) == 1
    assert math.isnan(nothing.precision())
    with pytest.raises(ValueError, match="0 and 1"):
        Counts.of([0, 255], [0, 1])
    with pytest.raises(ValueError, match="shape"):
        Counts.of([0, 1], [0, 1, 1])


def test_counts_of_scans_add_up_from_nothing():
    assert sum([Counts(1, 2, 3, 4), Counts(10, 20, 30, 40)], Counts()) == Counts(11, 22, 33, 44)


def test_rate_of_false_alarms_is_of_healthy_voxels_and_not_of_detections():
    counts = Counts(tp=5, fp=10, fn=0, tn=990)
    assert counts.fpr() == 0.01
    assert math.isnan(Counts(tp=3, fn=1).fpr())
    assert math.isnan(Counts(fp=3, tn=1).recall())


def test_inside_of_another_shape_is_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"inside of shape \(2,\) like pred, got \(3,\)"):
        Counts.of([0, 1], [0, 1], inside=[1, 1, 1])
