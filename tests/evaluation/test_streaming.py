"""Histograms agree with exact curves, in whatever order and on however many processes they were filled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.evaluation import ProCurve, ProHistogram, RankCurve, RankHistogram, aupro
from diffad.evaluation.metrics.histogram import Lattice, from_keys, to_keys

DRAWS = {
    "gamma": lambda rng, n: rng.gamma(2, 0.05, n),
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.random(n),
    "a hundred and a bit": lambda rng, n: 100 + rng.uniform(-1, 1, n),
    "mostly zero": lambda rng, n: np.maximum(rng.normal(size=n) - 0.7, 0),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_histogram_agrees_with_the_exact_curve_to_a_ten_thousandth(draw):
    rng = np.random.default_rng(0)
    a = DRAWS[draw](rng, 200_000).astype(np.float32)
    truth = rng.random(len(a)) < 0.02 + 0.2 * (a > np.quantile(a, 0.95))
    parts = zip(np.array_split(a, 7), np.array_split(truth, 7), strict=True)
    streamed = RankHistogram()
    for part in parts:
        streamed.add(*part)
    found, exact = streamed.curve(), RankCurve.of(a, truth)
    assert found.auroc() == pytest.approx(exact.auroc(), abs=1e-4)
    assert found.average_precision() == pytest.approx(exact.average_precision(), abs=1e-4)
    assert found.best_dice().dice == pytest.approx(exact.best_dice().dice, abs=1e-4)
    assert found.best_dice().threshold == pytest.approx(exact.best_dice().threshold, rel=2e-2)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=2, max_size=40),
    st.integers(0, 100),
    st.data(),
)
def test_order_and_merging_change_nothing(values, seed, data):
    a = np.array(values, np.float32)
    truth = np.random.default_rng(seed).random(len(a)) < 0.5
    whole = RankHistogram(16).add(a, truth).to_arrays()
    order = np.array(data.draw(st.permutations(range(len(a)))))
    cut = data.draw(st.integers(1, len(a) - 1))
    first, second = (RankHistogram(16).add(a[i], truth[i]) for i in (order[:cut], order[cut:]))
    merged = RankHistogram.from_arrays(first.to_arrays()).merge(second).to_arrays()
    for key, value in whole.items():
        assert (merged[key] == value).all()


def test_memory_does_not_grow_with_scans():
    rng = np.random.default_rng(0)
    streamed = RankHistogram(2**10)
    for _ in range(50):
        a = rng.normal(size=500)
        streamed.add(a, a > 1)
    assert streamed.to_arrays()["counts"].shape[1] <= 2**10
    assert streamed.to_arrays()["counts"].sum() == 50 * 500


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_keys_come_back(value):
    there = np.array([value], np.float32)
    assert from_keys(to_keys(there).astype(np.int64)) == there


def test_keys_keep_the_order_and_zero_has_one():
    a = np.sort(np.r_[np.random.default_rng(0).normal(size=1000), 0, 1e-40, -1e-40]).astype(np.float32)
    assert (np.diff(to_keys(a).astype(np.int64)) >= 0).all()
    assert to_keys(np.float32([-0.0])) == to_keys(np.float32([0.0]))


def test_lattice_is_the_finest_that_fits():
    assert Lattice.span(5, 12, 8) == Lattice(0, 5, 8)
    assert Lattice.span(5, 13, 8) == Lattice(1, 2, 5)


def two_maps():
    rng = np.random.default_rng(1)
    maps = [rng.integers(0, 100, (20, 20)) / np.float32(128) for _ in range(3)]
    masks = [np.zeros((20, 20), bool) for _ in range(3)]
    masks[0][2:5, 2:5] = masks[0][10:18, 10:12] = masks[1][4, 4] = True
    maps[0][masks[0]] += np.float32(0.25)
    return maps, masks


def loop(maps, masks, limit):
    """Threshold by threshold, region by region."""
    from skimage.measure import label

    regions = [(a, label(m, connectivity=2) == k) for a, m in zip(maps, masks, strict=True)
               for k in range(1, label(m, connectivity=2).max() + 1)]  # fmt: skip
    healthy = np.concatenate([a[~m] for a, m in zip(maps, masks, strict=True)])
    points = [(0.0, 0.0)]
    for t in np.unique(maps)[::-1]:
        points.append(((healthy >= t).mean(), np.mean([(a[r] >= t).mean() for a, r in regions])))
    x, y = np.array(points).T
    end = np.interp(limit, x, y)
    x, y = np.r_[x[x < limit], limit], np.r_[y[x < limit], end]
    return np.trapezoid(y, x) / limit


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_one_sort_gives_what_a_loop_over_regions_gives(limit):
    maps, masks = two_maps()
    assert aupro(maps, masks, limit) == pytest.approx(loop(maps, masks, limit))


def test_streamed_regions_agree_and_merge():
    maps, masks = two_maps()
    one = ProHistogram().add(maps[0], masks[0])
    rest = ProHistogram().add(maps[1], masks[1]).add(maps[2], masks[2])
    found = one.merge(rest).curve()
    assert found.regions == 3
    for limit in (0.05, 0.3, 1.0):
        assert found.area(limit) == pytest.approx(aupro(maps, masks, limit), abs=1e-4)


def test_streamed_curve_begins_with_nothing_flagged():
    found = ProHistogram().add(np.array([[0.1, 0.5, 0.9]]), np.array([[1, 0, 0]])).curve()
    assert (found.fpr[0], found.pro[0]) == (0, 0)
    # both healthy voxels come before the region
    assert found.area(0.3) == 0


def test_inside_leaves_the_rest_out():
    maps, masks = two_maps()
    inside = [np.ones((20, 20), bool) for _ in maps]
    for part in inside:
        part[:, 15:] = False
    cut = [a[:, :15] for a in maps], [m[:, :15] for m in masks]
    assert aupro(maps, masks, inside=inside) == pytest.approx(aupro(*cut))


def test_three_dimensions_join_by_corners():
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert ProCurve.of([np.random.default_rng(0).random(mask.shape)], [mask]).regions == 1


def test_nothing_to_find_is_nan_with_a_warning():
    empty = [np.zeros((4, 4), bool)]
    with pytest.warns(RuntimeWarning, match="AUPRO is NaN"):
        assert np.isnan(aupro([np.zeros((4, 4))], empty))
