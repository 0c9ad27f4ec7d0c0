"""Fills that need no model."""

import numpy as np
import pytest

from diffad.fill.simple import fill_harmonic, fill_mirror, fill_rim_mean

AXES = np.stack(np.meshgrid(*[np.arange(14.0)] * 3, indexing="ij"))
RAMP = (10 + 2 * AXES[0] - AXES[1] + 3 * AXES[2]).astype(np.float32)
INSIDE = np.zeros(RAMP.shape, bool)
INSIDE[5:9, 4:9, 6:10] = True
KNOWN = ~INSIDE


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 2, 5)])
def test_harmonic_fill_continues_a_ramp(spacing):
    holed = np.where(INSIDE, 999, RAMP)
    assert fill_harmonic(holed, INSIDE, KNOWN, np.array(spacing)) == pytest.approx(RAMP, abs=0.01)


def test_harmonic_fill_does_not_look_beyond_the_brain():
    known = KNOWN & (AXES[0] > 4)
    holed = np.where(known, 50, -1e6)
    filled = fill_harmonic(holed, INSIDE, known, np.ones(3))
    assert filled[INSIDE] == pytest.approx(50, abs=0.01)


def test_rim_mean_is_constant_and_stays_outside():
    filled = fill_rim_mean(np.where(INSIDE, 999, RAMP), INSIDE, KNOWN)
    assert np.ptp(filled[INSIDE]) == 0
    assert np.array_equal(filled[~INSIDE], RAMP[~INSIDE])
    assert RAMP.min() < filled[INSIDE][0] < RAMP.max()


def test_mirror_takes_the_other_side():
    symmetric = np.abs(AXES[0] - 6.5) + AXES[1]
    inside = INSIDE & (AXES[0] > 7)
    filled = fill_mirror(np.where(inside, 999, symmetric), inside, ~inside, np.ones(3))
    assert filled == pytest.approx(symmetric)
