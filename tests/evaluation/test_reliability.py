"""Promised against observed frequencies."""

import math

import numpy as np
import pytest

from diffad.evaluation import expected_calibration_error
from diffad.evaluation.metrics.reliability import reliability


def test_reliability_by_hand():
    p, truth = [0.1, 0.1, 0.9, 0.9], [0, 0, 1, 0]
    assert reliability(p, truth, 2) == pytest.approx(np.array([[0.1, 0, 2], [0.9, 0.5, 2]]))
    assert expected_calibration_error(p, truth, 2) == pytest.approx(0.25)
    rng = np.random.default_rng(0)
    honest = rng.random(50_000)
    assert expected_calibration_error(honest, rng.random(50_000) < honest) < 0.02
    assert expected_calibration_error(honest**3, rng.random(50_000) < honest) > 0.2
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        expected_calibration_error([2.0], [1])


def test_bins_below_one_and_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match="bin"):
        reliability([0.5], [1], 0)
    with pytest.raises(ValueError, match="shape"):
        reliability([0.5, 0.5], [1])


def test_probability_one_falls_into_the_last_bin_and_nothing_has_no_error():
    assert reliability([1.0], [1], 10) == pytest.approx(np.array([[1.0, 1.0, 1.0]]))
    assert math.isnan(expected_calibration_error([], []))
