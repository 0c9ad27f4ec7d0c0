"""What every registered noise must do."""

import pytest
import torch

from diffad.protocols import NoiseGenerator
from diffad.registry import NOISES

SHAPES = [(2, 1, 16, 16), (3, 2, 17, 31), (1, 4, 33, 8), (2, 2, 5, 9, 12), (1, 1, 1, 7, 7)]
FIELDS = 400


@pytest.fixture(params=sorted(NOISES))
def noise(request):
    return NOISES.build(request.param)


@pytest.fixture(scope="module")
def sample():
    """Many small fields of each noise, (FIELDS, 2, 24, 20), drawn once."""
    drawn = {}

    def draw(noise):
        if type(noise) not in drawn:
            seeds = [torch.Generator().manual_seed(s) for s in range(FIELDS)]
            drawn[type(noise)] = noise(torch.zeros(FIELDS, 2, 24, 20), generator=seeds)
        return drawn[type(noise)]

    return draw


def test_follows_the_protocol(noise):
    assert isinstance(noise, NoiseGenerator)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_has_shape_dtype_and_device_of_its_input(noise, shape, dtype, generators):
    like = torch.zeros(shape, dtype=dtype)
    z = noise(like, generator=generators(*range(shape[0])))
    assert (z.shape, z.dtype, z.device) == (like.shape, like.dtype, like.device)
    assert z.isfinite().all()
    assert z.float().std() > 0.01


@pytest.mark.parametrize("shape", [(5, 2, 37, 29), (3, 2, 6, 11, 9)], ids=str)
def test_item_alone_equals_item_in_batch(noise, shape, generators):
    batch = noise(torch.zeros(shape), generator=generators(*range(shape[0])))
    for i in range(shape[0]):
        alone = noise(torch.zeros(1, *shape[1:]), generator=generators(i))
        assert torch.equal(alone[0], batch[i])


def test_same_seed_gives_same_noise_and_another_seed_another(noise, generators):
    like = torch.zeros(1, 1, 24, 24)
    first = noise(like, generator=generators(1))
    assert torch.equal(first, noise(like, generator=generators(1)))
    assert not torch.equal(first, noise(like, generator=generators(2)))


def test_one_generator_serves_the_items_in_order(noise, generators):
    pair = noise(torch.zeros(2, 1, 16, 16), generator=generators(3)[0])
    (single,) = generators(3)
    for z in pair:
        assert torch.equal(noise(torch.zeros(1, 1, 16, 16), generator=single)[0], z)
    assert not torch.equal(pair[0], pair[1])


def test_leaves_its_input_and_the_global_generator_alone(noise, generators):
    like, state = torch.ones(1, 1, 8, 8), torch.get_rng_state()
    noise(like, torch.tensor(5), generator=generators(0))
    assert torch.equal(like, torch.ones(1, 1, 8, 8))
    assert torch.equal(state, torch.get_rng_state())


def test_reads_no_values_of_its_input(noise, generators):
    empty = torch.full((1, 1, 8, 8), torch.nan)
    assert torch.equal(
        noise(empty, generator=generators(0)), noise(torch.zeros(1, 1, 8, 8), generator=generators(0))
    )


def test_has_zero_mean_and_unit_variance_over_many_fields(noise, sample):
    z = sample(noise)
    # 800 fields that may each be one blob: the standard error of the mean is at most 1 / sqrt(800) = .035.
    assert z.mean().abs() < 0.12
    assert z.var(correction=0) == pytest.approx(1, abs=0.12)


def test_has_the_same_variance_at_every_voxel(noise, sample):
    variance = sample(noise).var(dim=(0, 1))
    # 800 draws of a unit normal: the standard error is .05.
    assert variance.min() > 0.75
    assert variance.max() < 1.3
    assert variance[0, 0] == pytest.approx(1, abs=0.25)


def test_has_zero_mean_at_every_voxel(noise, sample):
    assert sample(noise).mean(dim=(0, 1)).abs().max() < 0.2


def test_is_independent_between_channels_and_items(noise, sample):
    z = sample(noise)
    # 400 pairs: the standard error of a voxel's mean product is .05, the mean over voxels is no worse.
    assert (z[:, 0] * z[:, 1]).mean().abs() < 0.15
    assert (z[:-1] * z[1:]).mean().abs() < 0.15


def test_has_unit_variance_in_volumes(noise):
    seeds = [torch.Generator().manual_seed(s) for s in range(150)]
    z = noise(torch.zeros(150, 1, 10, 12, 14), generator=seeds)
    assert z.mean().abs() < 0.3
    assert z.square().mean() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 1, 2, 2, 2, 2), (1, 0, 8, 8), (0, 1, 8, 8)], ids=str)
def test_names_the_shape_it_cannot_use(noise, shape, generators):
    with pytest.raises(ValueError, match=r"expected `like` of shape \(B, C, \*S\).*got"):
        noise(torch.zeros(shape), generator=generators(*range(shape[0])))


def test_rejects_integers(noise, generators):
    with pytest.raises(TypeError, match=r"expected a floating point tensor.*got torch.int64"):
        noise(torch.zeros(1, 1, 8, 8, dtype=torch.int64), generator=generators(0))


def test_rejects_what_is_no_tensor(noise, generators):
    with pytest.raises(TypeError, match=r"expected a floating point tensor.*got list"):
        noise([0.0], generator=generators(0))


def test_rejects_a_wrong_number_of_generators(noise, generators):
    with pytest.raises(ValueError, match="expected one generator for each of 2 items, got 3"):
        noise(torch.zeros(2, 1, 8, 8), generator=generators(0, 1, 2))
