"""Simplex noise against the opensimplex package."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from opensimplex import OpenSimplex

from diffad.noise import _kernel2, _kernel3, _kernel4, _reference
from diffad.noise.simplex import SimplexNoise, simplex_field

SEEDS = st.integers(-(10**10), 10**10 - 1)


def oracle(seed, origin, shape, octaves=6, persistence=0.8, feature_size=64.0):
    """Sum octaves of opensimplex at the voxels of a volume (D, H, W) that begins at ``origin`` (x, y, z)."""
    simplex = OpenSimplex(seed)
    z, y, x = (start + np.arange(n, dtype=np.float64) for start, n in zip(origin[::-1], shape, strict=True))
    out, amplitude = np.zeros(shape), 1.0
    for _ in range(octaves):
        out += amplitude * simplex.noise3array(x / feature_size, y / feature_size, z / feature_size)
        amplitude *= persistence
        feature_size /= 2
    return out


@pytest.mark.parametrize("seed", [42, 3, 12345, -(10**10)])
@pytest.mark.parametrize("depth", [0, 100, 999])
def test_reference_field_equals_opensimplex_in_every_bit(seed, depth):
    assert np.array_equal(simplex_field(seed, (40, 56), depth), oracle(seed, (0, 0, depth), (1, 40, 56))[0])


def test_reference_volume_equals_opensimplex_in_every_bit():
    assert np.array_equal(simplex_field(7, (9, 20, 12)), oracle(7, (0, 0, 0), (9, 20, 12)))


def test_reference_noise_is_the_field_at_the_published_index_of_each_level(generators):
    z = SimplexNoise(reference=True)(
        torch.zeros(2, 2, 24, 30), torch.tensor([1, 250]), generator=generators(5, 6)
    )
    for item, (index, generator) in enumerate(zip([0, 249], generators(5, 6), strict=True)):
        seeds = torch.randint(-(10**10), 10**10, (2, 1), generator=generator)
        for channel, seed in enumerate(seeds.flatten().tolist()):
            expected = oracle(seed, (0, 0, index), (1, 24, 30))[0].astype(np.float32)
            assert np.array_equal(z[item, channel].numpy(), expected)


@given(seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_permutation_table_equals_that_of_opensimplex(seed):
    assert np.array_equal(_kernel3.shuffle_table(seed), OpenSimplex(seed)._perm)


@given(seed=SEEDS, place=st.integers(0, 10**6), size=st.integers(30, 8000), octaves=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_fast_sum_equals_opensimplex_anywhere(seed, place, size, octaves):
    origin = np.random.default_rng(place).uniform(-1000, 98304, (1, 3))
    fast = _kernel3.sum_fields3([seed], origin, (2, 70, 31), octaves, 0.8, size / 100)[0]
    assert np.abs(fast - oracle(seed, tuple(origin[0]), (2, 70, 31), octaves, 0.8, size / 100)).max() < 1e-8


def test_fast_sum_equals_opensimplex_but_for_its_small_jumps_at_lattice_points():
    # OpenSimplex jumps by up to 1e-4 between regions, and whole coordinates lie on the borders.
    fast = _kernel3.sum_fields3([42], np.zeros((1, 3)), (1, 64, 64), 6, 0.8, 64.0)[0]
    assert np.abs(fast - oracle(42, (0, 0, 0), (1, 64, 64))).max() < 5e-4


def test_fast_sum_equals_opensimplex_at_every_voxel_of_default_fields():
    origin = np.random.default_rng(0).uniform(0, 98304, (4, 3))
    fast = _kernel3.sum_fields3([1, 2, 3, 4], origin, (1, 256, 256), 6, 0.8, 64.0)
    slow = [
        oracle(seed, tuple(place), (1, 256, 256)) for seed, place in zip([1, 2, 3, 4], origin, strict=True)
    ]
    assert np.abs(fast - np.stack(slow)).max() < 1e-9


def test_default_noise_is_opensimplex_at_a_random_offset_over_its_deviation(generators):
    noise = SimplexNoise()
    z = noise(torch.zeros(1, 1, 6, 20, 25), generator=generators(9))[0, 0]
    (generator,) = generators(9)
    seed = int(torch.randint(-(10**10), 10**10, (1, 1), generator=generator))
    origin = torch.rand((1, 3), generator=generator, dtype=torch.float64)[0] * 6 * 256 * 64
    expected = oracle(seed, tuple(origin.tolist()), (6, 20, 25)) / noise.std
    torch.testing.assert_close(z, torch.from_numpy(expected).float(), atol=1e-6, rtol=0)


def oracle_at(seed, origin, shape, octaves, persistence, feature_size):
    """Sum octaves of opensimplex in 2 or 4 coordinates over planes (D, H, W) that begin at ``origin``."""
    simplex = OpenSimplex(seed)
    x, y, z = (np.arange(n, dtype=np.float64) for n in reversed(shape))
    out, amplitude = np.zeros(shape), 1.0
    for _ in range(octaves):
        place = (origin[0] + x) / feature_size, (origin[1] + y) / feature_size
        if len(origin) == 4:
            place = *place, (origin[2] + z) / feature_size, np.array([origin[3] / feature_size])
        value = simplex.noise2array(*place)[None] if len(origin) == 2 else simplex.noise4array(*place)[0]
        out += amplitude * value
        amplitude *= persistence
        feature_size /= 2
    return out


@pytest.mark.parametrize(("origin", "shape"), [((0, 0), (1, 30, 41)), ((0, 0, 0, 249), (3, 20, 31))], ids=str)
def test_reference_in_two_and_four_coordinates_equals_opensimplex_in_every_bit(origin, shape):
    ours = _reference.sum_reference_fields([42], np.array([origin], float), shape, 6, 0.8, 64.0)[0]
    assert np.array_equal(ours, oracle_at(42, origin, shape, 6, 0.8, 64.0))


@given(seed=SEEDS, place=st.integers(0, 10**6), size=st.integers(30, 8000), octaves=st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_fast_sum_in_two_coordinates_equals_opensimplex_anywhere(seed, place, size, octaves):
    origin = np.random.default_rng(place).uniform(-1000, 98304, (1, 2))
    fast = _kernel2.sum_fields2([seed], origin, (1, 70, 31), octaves, 0.8, size / 100)[0]
    assert np.abs(fast - oracle_at(seed, origin[0], (1, 70, 31), octaves, 0.8, size / 100)).max() < 1e-8


@pytest.mark.parametrize("size", [0.7, 3.0, 40.0])
@pytest.mark.parametrize("corner", [-1.0, -20.0, -200.0])
def test_fast_sums_equal_opensimplex_where_coordinates_are_negative(corner, size):
    for dims, sum_fields in ((2, _kernel2.sum_fields2), (3, _kernel3.sum_fields3)):
        origin = corner - np.random.default_rng(dims).uniform(0, 20, (1, dims))
        shape = (1, 6, 9) if dims == 2 else (2, 6, 9)
        theirs = (oracle_at if dims == 2 else oracle)(42, tuple(origin[0]), shape, 1, 1.0, size)
        assert np.abs(sum_fields([42], origin, shape, 1, 1.0, size)[0] - theirs).max() < 1e-8
    origin = corner - np.random.default_rng(4).uniform(0, 20, (1, 4))
    theirs = oracle_at(42, tuple(origin[0]), (2, 6, 9), 1, 1.0, size)
    # in four coordinates opensimplex leaves out small bumps
    assert np.abs(_kernel4.sum_fields4([42], origin, (2, 6, 9), 1, 1.0, size)[0] - theirs).max() < 6e-4


@given(seed=SEEDS, place=st.integers(0, 10**6), size=st.integers(30, 1000))
@settings(deadline=None, max_examples=15)
def test_fast_sum_in_four_coordinates_equals_opensimplex_but_for_what_that_leaves_out(seed, place, size):
    origin = np.random.default_rng(place).uniform(-1000, 98304, (1, 4))
    fast = _kernel4.sum_fields4([seed], origin, (2, 70, 31), 1, 0.8, size / 100)[0]
    distance = np.abs(fast - oracle_at(seed, origin[0], (2, 70, 31), 1, 0.8, size / 100))
    assert distance.max() < 6e-4
    # About one point in ten lies where a vertex is left out.
    assert np.median(distance) < 1e-8
