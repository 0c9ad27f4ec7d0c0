"""Spread, correlation, spectrum and stationarity of the Gaussian families, against closed forms."""

import math

import numpy as np
import pytest
import torch

from diffad.registry import NOISES
from diffad.report.noise_stats import NoiseStats, autocorrelation, spectral_slope

OFFSET = 0.5
FAMILIES = {
    "gaussian": {"name": "gaussian"},
    "offset": {"name": "gaussian", "offset": OFFSET},
    "coarse": {"name": "coarse"},
    "coarser": {"name": "coarse", "resolution": 3},
    "pyramid": {"name": "pyramid"},
    "mixed": {"name": "mixed", "a": {"name": "coarse"}, "b": {"name": "gaussian"}, "weight": 0.5},
}
SHAPES = [(24, 20), (1, 24), (4, 7, 6), (1, 12, 10)]
FIELDS = 400


def fields(family, shape, count=FIELDS):
    seeds = [torch.Generator().manual_seed(s) for s in range(count)]
    return NOISES.build(**FAMILIES[family])(torch.zeros(count, 1, *shape), generator=seeds)


@pytest.fixture(scope="module")
def statistics():
    """Statistics of 150 fields of 64 x 64 of each family."""
    return {family: NoiseStats.of(fields(family, (64, 64), 150)) for family in FAMILIES}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_variance_is_one_at_every_voxel_of_any_shape(family, shape):
    z = fields(family, shape)
    squares = z.double().square()[:, 0]
    error = squares.std(dim=0) / math.sqrt(FIELDS)
    # No voxel of up to 480 strays by five standard errors unless its variance is another.
    assert ((squares.mean(0) - 1).abs() < 5 * error).all()
    whole = squares.mean(dim=tuple(range(1, squares.ndim)))
    assert whole.mean() == pytest.approx(1, abs=4 * float(whole.std()) / math.sqrt(FIELDS))


@pytest.mark.parametrize(
    ("family", "known", "off"),
    [
        ("gaussian", 1 / 64, 0.004),
        ("offset", OFFSET / math.sqrt(1 + OFFSET**2), 0.08),
        ("coarse", 0.094, 0.02),
        ("mixed", 0.094 / math.sqrt(2), 0.015),
    ],
)
def test_means_of_slices_spread_as_they_should(statistics, family, known, off):
    # A mean over 16 x 16 nodes of equal share has 1 / 16 over the factor 2/3 of linear enlarging, .094.
    assert statistics[family].slice_mean_std == pytest.approx(known, abs=off)


def test_correlation_lengths(statistics):
    white = 1 - math.exp(-1)
    assert statistics["gaussian"].length == pytest.approx(white, abs=0.01)
    # Linear interpolation over a pitch of 4 falls to 1/e after .85 of it.
    assert statistics["coarse"].length == pytest.approx(0.85 * 4, abs=0.15)
    assert statistics["pyramid"].length == pytest.approx(white / (1 - 0.26), abs=0.06)


def test_correlation_of_coarse_noise_is_that_of_its_triangle():
    rho = autocorrelation(fields("coarse", (64, 64), 200))
    triangle = np.array([0, 1, 2, 3, 4, 3, 2, 1, 0]) / 4  # the weight of a node on the voxels around it
    expected = np.correlate(triangle, triangle, "full")[8:]
    assert rho[:9] == pytest.approx(expected / expected[0], abs=0.015)


def test_correlation_of_an_offset_is_its_share_of_the_variance_at_every_lag(statistics):
    assert statistics["offset"].correlation[1:] == pytest.approx(OFFSET**2 / (1 + OFFSET**2), abs=0.05)


def test_slopes_of_the_spectra(statistics):
    slope = {family: spectral_slope(m.spectrum, 0.04, 0.5) for family, m in statistics.items()}
    assert slope["gaussian"] == pytest.approx(0, abs=0.05)
    assert slope["offset"] == pytest.approx(0, abs=0.05)
    assert -1.2 < slope["pyramid"] < -0.3
    assert slope["coarse"] < -4


def test_white_floor_of_the_spectra_is_the_white_share(statistics):
    floor = {family: m.spectrum[1][m.spectrum[0] > 0.4].mean() for family, m in statistics.items()}
    assert floor["gaussian"] == pytest.approx(1, abs=0.02)
    assert floor["offset"] == pytest.approx(1 / (1 + OFFSET**2), abs=0.02)
    assert floor["pyramid"] == pytest.approx(0.72, abs=0.03)
    assert floor["mixed"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("family", ["coarse", "coarser", "pyramid", "mixed"])
def test_volumes_are_as_coherent_across_slices_as_within(family):
    z = fields(family, (12, 48, 48), 60)
    across, down, right = (autocorrelation(z, [axis])[1] for axis in (2, 3, 4))
    assert across == pytest.approx(right, abs=0.04)
    assert down == pytest.approx(right, abs=0.04)


def test_a_volume_of_one_slice_is_as_correlated_as_a_slice():
    slices = autocorrelation(fields("pyramid", (40, 40), 300))[1]
    assert autocorrelation(fields("pyramid", (1, 40, 40), 300))[1] == pytest.approx(slices, abs=0.03)
