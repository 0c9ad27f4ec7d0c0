"""Intensities made alike: a line found in spite of outliers, and the same one the other way round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffad.follow_up.subtract import fit_intensities, subtract_visits


def draw(slope, offset, outliers=0.05, noise=2.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(100, 30, 5000)
    y = slope * x + offset + slope * rng.normal(0, noise, 5000)
    y[: int(outliers * 5000)] += slope * 300
    return x, y


@given(
    st.floats(0.2, 5, allow_subnormal=False), st.floats(-50, 200, allow_subnormal=False), st.integers(0, 20)
)
def test_line_is_found_in_spite_of_outliers(slope, offset, seed):
    fit = fit_intensities(*draw(slope, offset, seed=seed))
    assert fit.slope == pytest.approx(slope, rel=0.02)
    assert fit.offset == pytest.approx(offset, abs=3 * slope)
    assert 0.85 < fit.used_share < 0.96


@given(st.floats(0.2, 5, allow_subnormal=False), st.integers(0, 20))
def test_line_the_other_way_round_is_the_same(slope, seed):
    x, y = draw(slope, 20, seed=seed)
    there, back = fit_intensities(x, y), fit_intensities(y, x)
    assert back.slope == pytest.approx(1 / there.slope, rel=1e-6)
    assert back.offset == pytest.approx(-there.offset / there.slope, abs=1e-4)


def test_difference_of_a_bright_change_is_in_units_of_the_first_visit():
    x, _ = draw(1, 0)
    first = x[:4096].reshape(16, 16, 16)
    second = 2 * first + 30
    lesion = np.zeros(first.shape, bool)
    lesion[4:8, 4:8, 4:8] = True
    second[lesion] += 2 * 50
    brain = np.ones(first.shape, bool)
    brain[0] = False
    change, fit = subtract_visits(first, second, brain, lesion)
    assert fit.slope == pytest.approx(2)
    np.testing.assert_allclose(change[lesion], 50, atol=1e-3)
    np.testing.assert_allclose(change[brain & ~lesion], 0, atol=1e-3)
    assert not change[0].any()


@pytest.mark.parametrize("values", [np.ones(500), np.arange(20.0)])
def test_nothing_to_fit_is_refused(values):
    with pytest.raises(ValueError, match="voxels with contrast"):
        fit_intensities(values, values)
