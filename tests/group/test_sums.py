"""Running sums equal those of stacks, in any order and merged in any way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffad.group.sums import VoxelSums

SHAPE = (2, 3, 2)
MAPS = arrays.arrays(np.int32, SHAPE, elements=st.integers(0, 10**6)).map(
    lambda x: (x / 1e3).astype(np.float32)
)
FLAGS = arrays.arrays(bool, SHAPE)
SCANS = st.lists(st.tuples(MAPS, FLAGS, FLAGS), min_size=1, max_size=7)


def add_all(scans):
    sums = VoxelSums.of_shape(SHAPE)
    for anomaly, mask, seen in scans:
        sums.add(anomaly, mask, seen)
    return sums


def expect(scans):
    """Mean, SD, share and count, by numpy on the whole stack, of what was analysed alone."""
    anomaly, mask, seen = (np.stack(x) for x in zip(*scans, strict=True))
    values = np.ma.array(anomaly.astype(np.float64), mask=~seen)
    count = seen.sum(0)
    deviation = np.where(count > 1, values.std(0, ddof=1).filled(0), 0)
    share = (mask & seen).sum(0) / np.maximum(count, 1)
    return values.mean(0).filled(0), deviation, share, count


def same(sums, expected):
    mean, deviation, share, count = expected
    assert np.allclose(sums.mean, mean, rtol=1e-9, atol=1e-9)
    assert np.allclose(sums.deviation, deviation, rtol=1e-6, atol=1e-6)
    assert np.array_equal(sums.overlap, share)
    assert np.array_equal(sums.count, count)


@settings(deadline=None)
@given(SCANS)
def test_running_sums_equal_numpy_on_the_stack(scans):
    same(add_all(scans), expect(scans))


@settings(deadline=None)
@given(SCANS, st.randoms())
def test_order_does_not_matter(scans, random):
    shuffled = scans.copy()
    random.shuffle(shuffled)
    same(add_all(shuffled), expect(scans))


@settings(deadline=None)
@given(SCANS, SCANS)
def test_merged_groups_equal_all_scans(first, second):
    merged = add_all(first)
    merged.merge(add_all(second))
    same(merged, expect(first + second))
    assert merged.scans == len(first) + len(second)


def test_large_offsets_lose_no_spread():
    """Sums of squares would: 1e14 leaves few digits of float64 for 1."""
    scans = [
        (np.full(SHAPE, 1e7 + x, np.float32), np.zeros(SHAPE, bool), np.ones(SHAPE, bool)) for x in (0, 1, 2)
    ]
    assert add_all(scans).deviation == pytest.approx(np.ones(SHAPE))


@pytest.mark.parametrize(("scans", "least"), [(1, 1), (2, 2), (3, 2), (8, 4), (9, 5)])
def test_share_of_few_is_not_drawn(scans, least):
    sums = VoxelSums.of_shape(SHAPE)
    sums.scans = scans
    assert sums.least_drawn == least
