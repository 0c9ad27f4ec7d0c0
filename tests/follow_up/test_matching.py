"""Which detections are one: by overlap within a tolerance, however they are numbered and whoever is first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from diffad.data.detections import label_detections
from diffad.follow_up.matching import Match, match_detections

SPACING = (1.0, 1.0, 1.0)


def boxes(*corners, shape=(24, 12, 12)):
    """Number boxes given as (first, last) along the first axis, 4 voxels wide along the others."""
    labels = np.zeros(shape, np.int32)
    for number, (first, last) in enumerate(corners, 1):
        labels[first:last, 4:8, 4:8] = number
    return labels


@st.composite
def masks(draw):
    seed, share = draw(st.integers(0, 10_000)), draw(st.floats(0.55, 0.8, allow_subnormal=False))
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(16, 14, 12)), 1.5)
    return label_detections(noise > np.quantile(noise, share))


def swap(matches):
    return {(match.second, match.first) for match in matches}


def pairs(matches):
    return {(match.first, match.second) for match in matches}


@given(masks(), masks(), st.floats(0, 3, allow_subnormal=False))
def test_swapping_the_visits_swaps_the_matches(first, second, tolerance):
    there = match_detections(first, second, SPACING, tolerance)
    back = match_detections(second, first, SPACING, tolerance)
    assert pairs(there) == swap(back)


@given(masks(), masks(), st.floats(0, 3, allow_subnormal=False))
def test_every_detection_is_in_one_match(first, second, tolerance):
    matches = match_detections(first, second, SPACING, tolerance)
    for side, labels in (("first", first), ("second", second)):
        numbers = [n for match in matches for n in getattr(match, side)]
        assert sorted(numbers) == [n for n in np.unique(labels).tolist() if n]


@given(masks())
def test_identical_visits_match_every_detection_with_itself(labels):
    matches = match_detections(labels, labels, SPACING, 0.0)
    assert pairs(matches) == {((n,), (n,)) for n in np.unique(labels).tolist() if n}


@given(masks(), masks(), st.integers(0, 100))
def test_numbers_make_no_difference(first, second, seed):
    count = int(first.max(initial=0))
    numbers = np.r_[0, 1 + np.random.default_rng(seed).permutation(count)].astype(np.int32)
    matches = match_detections(first, second, SPACING)
    other = match_detections(numbers[first], second, SPACING)
    renamed = {(tuple(sorted(numbers[list(m.first)].tolist())), m.second) for m in matches}
    assert pairs(other) == renamed


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        ([(2, 8)], [(2, 9)], [("one", (1,), (1,))]),
        ([(2, 14)], [(2, 7), (9, 14)], [("split", (1,), (1, 2))]),
        ([(2, 7), (9, 14)], [(2, 14)], [("merged", (1, 2), (1,))]),
        ([(2, 8), (10, 16)], [(3, 12), (13, 16)], [("regrouped", (1, 2), (1, 2))]),
        ([(2, 6)], [(14, 18)], [("one", (1,), ()), ("one", (), (1,))]),
        ([], [(14, 18)], [("one", (), (1,))]),
        ([], [], []),
    ],
)
def test_kinds_of_matches(first, second, kinds):
    matches = match_detections(boxes(*first), boxes(*second), SPACING, 1.0)
    assert [(m.kind, m.first, m.second) for m in matches] == kinds


def test_tolerance_bridges_the_error_of_registration_and_no_more():
    first, second = boxes((2, 4)), boxes((5, 7))
    assert len(match_detections(first, second, SPACING, 2.0)) == 1
    assert len(match_detections(first, second, SPACING, 1.0)) == 2
    assert len(match_detections(first, second, (3.0, 1.0, 1.0), 2.0)) == 2


def test_large_detections_that_hardly_touch_are_two():
    assert len(match_detections(boxes((0, 12)), boxes((12, 24)), SPACING, 2.0)) == 2
    assert Match((1,), (2,)).kind == "one"
