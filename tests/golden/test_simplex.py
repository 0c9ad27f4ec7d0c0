"""Published facts about simplex noise in 2, 3 and 4 coordinates.

AnoDDPM (Wyatt et al., 2022), patched DDPM (Behrendt et al., 2023) and Annotsim (Kumar et al., 2025).
"""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from diffad.noise import _reference
from diffad.noise._kernel3 import GRADIENTS
from diffad.noise._lattice import GRADIENTS2, GRADIENTS4, VARIANCES
from diffad.noise.simplex import SimplexNoise

HALVES = slice(0, 48), slice(48, 96)


def correlations(z):
    """Correlate ``z`` with itself along its last axis, (64,)."""
    z = z.double()
    return np.array([(z[..., lag:] * z[..., : z.shape[-1] - lag]).mean().item() for lag in range(64)]) / (
        z.square().mean().item()
    )


def length(correlation):
    """Interpolate where a correlation falls to 1/e, in voxels."""
    after = int(np.argmax(correlation < 1 / np.e))
    high, low = correlation[after - 1 : after + 1]
    return after - 1 + (high - 1 / np.e) / (high - low)


def spectrum_slope(z):
    """Fit the power law of the radial spectrum of images (N, n, n) from 2 / n to 1/4 cycles a pixel."""
    n = z.shape[-1]
    window = np.hanning(n)[:, None] * np.hanning(n)
    deviations = z - z.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(deviations * window)) ** 2).mean(0)
    radius = np.round(np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n))) * n).astype(int)
    radial = np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel())
    k = np.arange(2, n // 4 + 1)
    return np.polyfit(np.log(k), np.log(radial[k]), 1)[0]


@pytest.fixture(scope="module")
def fields():
    """Published fields of 256 x 256 by number of coordinates, (24, 1, 256, 256)."""
    generators = [torch.Generator().manual_seed(s) for s in range(24)]
    like, levels = torch.zeros(24, 1, 256, 256), torch.arange(24) * 40
    return {d: SimplexNoise(reference=True, dims=d)(like, levels, generator=generators) for d in (2, 3)}


def value(seed, *at):
    """Evaluate noise at one point through the reference sum."""
    return _reference.sum_reference_fields([seed], np.array([at]), (1, 1, 1), 1, 1.0, 1.0).item()


def test_points():
    assert value(42, 0.5, 0.25) == pytest.approx(0.280301169, abs=1e-9)
    assert value(3, 0.5, 0.5) == -0.43906247097569345
    assert value(3, 0.5, 0.5, 0.5) == 0.39504955501618155
    assert value(3, 0.5, 0.5, 0.5, 0.5) == 0.04520359600370195


def test_four_coordinates_by_channel_and_level():
    origins = np.array([[0.0, 0.0, 0.0, t] for t in (0, 1, 10, 100, 500)])
    z = _reference.sum_reference_fields([3] * 5, origins, (3, 16, 16), 6, 0.9, 64.0)
    assert abs(z[0, 0, 0, 0]) < 1e-50
    assert z[0, 0, 3, 5] == -0.40581164159042604
    assert z[1, 2, 7, 11] == 0.1393913488481977
    assert z[4, 1, 15, 15] == 0.1492770241276235


def test_noise_of_four_coordinates_is_that_field(generators, monkeypatch):
    noise = SimplexNoise(persistence=0.9, reference=True, dims=4, correlated=True)
    draw = noise.draw_starts

    def draw_seeded(generator, channels):
        octave_set, starts = draw(generator, channels)
        return octave_set, torch.cat([torch.full_like(starts[:, :1], 3), starts[:, 1:]], dim=1)

    monkeypatch.setattr(noise, "draw_starts", draw_seeded)
    levels = 1 + torch.tensor([0, 1, 10, 100, 500])
    z = noise(torch.zeros(5, 3, 16, 16, dtype=torch.float64), levels, generator=generators(*range(5)))
    values = [z[0, 0, 3, 5], z[1, 2, 7, 11], z[4, 1, 15, 15]]
    assert torch.stack(values).tolist() == np.float32([-0.405811641, 0.139391349, 0.149277024]).tolist()


def test_deviations_of_one_octave():
    deviations = {d: np.sqrt(v) for d, v in VARIANCES.items()}
    assert deviations[2] == pytest.approx(0.369, abs=0.002)
    assert deviations[3] == pytest.approx(0.314, abs=0.001)
    # Features far smaller than a voxel make its neighbours independent: the standard error is 1.1 %.
    field = _reference.sum_reference_fields(
        [5], np.array([[0.1, 0.2, 0.3, 0.4]]), (1, 64, 64), 1, 1.0, 1 / 7.37
    )
    assert deviations[4] == pytest.approx(field.std(), rel=0.04)


@pytest.mark.parametrize(
    ("d", "gradients", "sphere"),
    [(2, GRADIENTS2, 2 * np.pi), (3, GRADIENTS, 4 * np.pi), (4, GRADIENTS4, 2 * np.pi**2)],
)
def test_variance_is_what_all_bumps_around_a_point_add_up_to(d, gradients, sphere):
    """Lattice points come 1 / sqrt(d + 1) to a unit volume; a gradient meets every direction alike."""
    component = np.square(gradients).mean()
    energy, _ = quad(lambda r: (2 - r**2) ** 8 * component * r**2 * sphere * r ** (d - 1), 0, np.sqrt(2))
    assert VARIANCES[d] == pytest.approx(energy / np.sqrt(d + 1), rel=1e-9)


def test_statistics_in_three_coordinates(fields):
    z = fields[3]
    correlation = correlations(z)
    assert z.std() == pytest.approx(0.50, abs=0.01)
    assert correlation[16] == pytest.approx(0.445, abs=0.02)
    assert length(correlation) == pytest.approx(19.8, abs=1)
    assert spectrum_slope(z[:, 0].numpy()) == pytest.approx(-2.7, abs=0.1)


def test_statistics_in_two_coordinates(fields):
    assert fields[2].std() == pytest.approx(0.598, abs=0.01)
    assert length(correlations(fields[2])) == pytest.approx(18.2, abs=1)


def test_statistics_of_patched_ddpm(generators):
    like = torch.zeros(200, 1, 96, 96)
    z = SimplexNoise(reference=True, dims=2)(like, generator=generators(*range(200)))
    assert z.std() == pytest.approx(0.586, abs=0.012)
    assert z.std(dim=(1, 2, 3)).mean() == pytest.approx(0.544, abs=0.01)
    assert z.mean(dim=(1, 2, 3)).std() == pytest.approx(0.21, abs=0.02)
    published = {1: 0.957, 2: 0.885, 4: 0.779, 8: 0.622, 16: 0.409, 32: 0.189}
    assert correlations(z)[list(published)] == pytest.approx(list(published.values()), abs=0.02)
    assert (z[..., 0, 0] == 0).all()
    quadrants = [z[..., rows, columns].std().item() for rows in HALVES for columns in HALVES]
    assert sorted(quadrants) == pytest.approx(sorted([0.667, 0.538, 0.529, 0.599]), abs=0.03)


@pytest.mark.parametrize("dims", [2, 3, 4])
def test_default_has_the_published_spectrum_without_the_corner(dims, generators):
    noise = SimplexNoise(dims=dims)
    z = noise(torch.zeros(24, 1, 256, 256), generator=generators(*range(24)))
    assert z.std() == pytest.approx(1, abs=0.03)
    assert spectrum_slope(z[:, 0].numpy()) == pytest.approx(-2.7, abs=0.1)
    corner, middle = z[..., :64, :64].var(), z[..., 96:160, 96:160].var()
    assert corner == pytest.approx(middle.item(), rel=0.4)
