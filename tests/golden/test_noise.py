"""Published facts about the noise of AnoDDPM (Wyatt et al., 2022) and of Kascenas et al. (2022)."""

import numpy as np
import pytest
import torch

from diffad.noise import _kernel3
from diffad.noise._reference import noise3
from diffad.noise.coarse import CoarseNoise
from diffad.noise.octaves import PUBLISHED_SETS
from diffad.noise.simplex import VARIANCE, SimplexNoise, simplex_field


@pytest.fixture(scope="module")
def published_coarse():
    """Coarse fields as published at 128 x 128, with the roll taken back, (150, 4, 128, 128)."""
    noise = CoarseNoise(reference=True)
    grid = torch.randn(600, 16, 16, generator=torch.Generator().manual_seed(0))
    return noise._enlarge(grid, torch.Size([128, 128])).double()


def test_permutation_of_seed_42():
    assert _kernel3.shuffle_table(42)[:8].tolist() == [48, 76, 40, 154, 62, 22, 64, 58]


@pytest.mark.parametrize(("seed", "value"), [(42, -0.545784504), (3, 0.432788914)])
def test_simplex_at_one_point(seed, value):
    perm = _kernel3.shuffle_table(seed)
    assert noise3(0.5, 0.25, 0.125, perm, perm % 24 * 3) == pytest.approx(value, abs=1e-9)
    origin = np.array([[0.5, 0.25, 0.125]])
    assert _kernel3.sum_fields3([seed], origin, (1, 1, 1), 1, 1.0, 1.0).item() == pytest.approx(
        value, abs=1e-9
    )


def test_simplex_field_of_seed_42_at_index_100():
    field = simplex_field(42, (256, 256), depth=100)
    assert field.mean() == pytest.approx(0.043922, abs=1e-6)
    assert field.std() == pytest.approx(0.520430, abs=1e-6)
    corners = [field[0, 0], field[10, 20], field[128, 128], field[255, 255]]
    assert corners == pytest.approx([0.954321, 0.323598, 0.766538, -0.231951], abs=1e-6)


def test_simplex_reference_statistics(generators):
    levels = torch.arange(40) * 25
    z = SimplexNoise(reference=True)(torch.zeros(40, 1, 256, 256), levels, generator=generators(*range(40)))
    assert z.std() == pytest.approx(0.50, abs=0.015)
    assert z.mean(dim=(1, 2, 3)).std() == pytest.approx(0.068, abs=0.02)
    lag = (z[..., 16:] * z[..., :-16]).mean() / z.square().mean()
    assert lag == pytest.approx(0.445, abs=0.03)


@pytest.mark.parametrize("level", [None, 1])
def test_simplex_reference_is_zero_at_the_first_pixel_at_index_0(level, generators):
    t = None if level is None else torch.tensor(level)
    z = SimplexNoise(reference=True)(torch.zeros(20, 1, 8, 8), t, generator=generators(*range(20)))
    assert (z[..., 0, 0] == 0).all()
    t = torch.tensor(2)
    z = SimplexNoise(reference=True)(torch.zeros(20, 1, 8, 8), t, generator=generators(*range(20)))
    assert (z[..., 0, 0] != 0).all()


def test_octaves_among_which_published_code_draws():
    first = [(2, 0.6, 16), (6, 0.6, 32), (7, 0.7, 32), (10, 0.8, 64), (5, 0.8, 16), (4, 0.6, 16)]
    first += [(1, 0.6, 64), (7, 0.8, 128), (6, 0.9, 64)]
    rest = [(octaves, 0.85, size) for octaves in (2, 1) for size in (128, 64, 32, 16, 8, 4, 2)]
    assert [(s.octaves, s.persistence, s.feature_size) for s in PUBLISHED_SETS] == first + rest


def test_simplex_variances():
    assert np.sqrt(VARIANCE) == pytest.approx(0.3142, abs=0.0005)
    assert SimplexNoise().std ** 2 == pytest.approx(0.2554, abs=0.001)


def test_simplex_default_has_the_published_correlation(generators):
    z = SimplexNoise()(torch.zeros(40, 1, 256, 256), generator=generators(*range(40)))
    for lag, value in {1: 0.963, 4: 0.80, 16: 0.445}.items():
        assert (z[..., lag:] * z[..., :-lag]).mean() / z.square().mean() == pytest.approx(value, abs=0.03)


def test_coarse_enlarging_equals_aligned_bilinear_interpolation():
    grid = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1))
    ours = CoarseNoise(reference=True, sigma=1.0)._enlarge(grid, torch.Size([128, 96]))
    theirs = torch.nn.functional.interpolate(grid[None], (128, 96), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_coarse_volume_enlarging_equals_aligned_trilinear_interpolation():
    grid = torch.randn(2, 5, 5, 5, generator=torch.Generator().manual_seed(1))
    ours = CoarseNoise(5, reference=True, sigma=1.0)._enlarge(grid, torch.Size([12, 9, 14]))
    theirs = torch.nn.functional.interpolate(grid[None], (12, 9, 14), mode="trilinear", align_corners=True)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_coarse_deviation_as_published(published_coarse):
    variance = published_coarse.square().mean(0)
    assert published_coarse.std() == pytest.approx(0.134, abs=0.002)
    assert variance[0, 0].sqrt() == pytest.approx(0.20, abs=0.02)
    assert variance.min() / 0.2**2 == pytest.approx(0.25, abs=0.05)


def test_coarse_correlation_as_published(generators):
    z = CoarseNoise(reference=True)(torch.zeros(400, 1, 128, 128), generator=generators(*range(400)))
    power = z.square().mean()
    correlation = {lag: ((z * z.roll(lag, -1)).mean() / power).item() for lag in (8, 16)}
    assert correlation[8] == pytest.approx(0.27, abs=0.03)
    assert abs(correlation[16]) < 0.02
