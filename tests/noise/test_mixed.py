"""The blend of two noises."""

import pytest
import torch

from diffad.noise.coarse import CoarseNoise
from diffad.noise.gaussian import GaussianNoise
from diffad.noise.mixed import MixedNoise
from diffad.registry import NOISES, UnknownNameError

PARTS = {"a": {"name": "coarse", "resolution": 4}, "b": {"name": "gaussian"}}


@pytest.fixture
def parts(generators):
    """Draw the two noises that item ``seed`` of a blend is made of, (1, 1, 16, 16) each."""

    def draw(seed):
        (g,), like = generators(seed), torch.zeros(1, 1, 16, 16)
        return CoarseNoise(4)(like, generator=g), GaussianNoise()(like, generator=g)

    return draw


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": {"octaves": 3}}, "expected a to have a name, got"),
        ({"b": "gaussian"}, "expected b to be a mapping with a name, got 'gaussian'"),
        ({"weight": 1.5}, r"expected weight 'level' or a number in \[0, 1\], got 1.5"),
        ({"weight": float("nan")}, r"number in \[0, 1\], got nan"),
        ({"weight": "levels"}, r"number in \[0, 1\], got 'levels'"),
        ({"levels": 0}, "expected levels to be a whole number of at least 1, got 0"),
        ({"levels": 2.5}, "expected levels to be a whole number of at least 1, got 2.5"),
        ({"levels": float("inf")}, "expected levels to be a whole number of at least 1, got inf"),
    ],
    ids=str,
)
def test_names_the_option_that_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        MixedNoise(**options)


def test_names_a_part_that_nobody_registered():
    with pytest.raises(UnknownNameError, match="did you mean 'simplex'"):
        MixedNoise(a={"name": "simplx"})


def test_keeps_its_options_as_attributes():
    noise = NOISES.build("mixed", weight=0.3, levels=500, reference=True, **PARTS)
    assert (noise.a, noise.b) == (PARTS["a"], PARTS["b"])
    assert (noise.weight, noise.levels, noise.reference) == (0.3, 500, True)


def test_takes_ready_parts(generators):
    like = torch.zeros(1, 1, 16, 16)
    ready = MixedNoise(CoarseNoise(4), GaussianNoise(), weight=0.5)(like, generator=generators(1))
    assert torch.equal(ready, MixedNoise(weight=0.5, **PARTS)(like, generator=generators(1)))


@pytest.mark.parametrize("reference", [False, True])
def test_share_of_the_second_grows_with_the_level_of_each_item(reference, parts, generators):
    t = torch.tensor([0, 250, 1000])
    noise = MixedNoise(reference=reference, **PARTS)
    z = noise(torch.zeros(3, 1, 16, 16), t, generator=generators(0, 1, 2))
    for i, w in enumerate((0.0, 0.25, 1.0)):
        a, b = parts(i)
        scale = 1.0 if reference else ((1 - w) ** 2 + w**2) ** 0.5
        torch.testing.assert_close(z[i : i + 1], ((1 - w) * a + w * b) / scale, atol=1e-6, rtol=0)


def test_levels_is_where_the_second_noise_is_alone(parts, generators):
    z = MixedNoise(levels=40, **PARTS)(torch.zeros(1, 1, 16, 16), torch.tensor(40), generator=generators(5))
    torch.testing.assert_close(z, parts(5)[1])


def test_constant_weight_takes_no_notice_of_the_level(generators):
    noise, like = MixedNoise(weight=0.5, **PARTS), torch.zeros(1, 1, 8, 8)
    draws = [noise(like, torch.tensor(t), generator=generators(0)) for t in (1, 5000)]
    assert torch.equal(*draws)


@pytest.mark.parametrize("t", [-1, 1001])
def test_names_a_level_beyond_its_levels(t, generators):
    with pytest.raises(ValueError, match=r"expected levels `t` in 0..1000, got \[.*\]"):
        MixedNoise(**PARTS)(torch.zeros(1, 1, 8, 8), torch.tensor(t), generator=generators(0))


def test_variance_is_one_in_the_middle_and_half_in_reference_mode(generators):
    like, t = torch.zeros(300, 1, 24, 24), torch.tensor(500)
    for reference, variance in ((False, 1.0), (True, 0.5)):
        z = MixedNoise(reference=reference, **PARTS)(like, t, generator=generators(*range(300)))
        assert z.square().mean() == pytest.approx(variance, rel=0.06)


def test_item_alone_equals_item_in_batch_at_its_level(generators):
    noise, t = MixedNoise(**PARTS), torch.tensor([10, 400, 900])
    batch = noise(torch.zeros(3, 2, 9, 12), t, generator=generators(0, 1, 2))
    for i in range(3):
        alone = noise(torch.zeros(1, 2, 9, 12), t[i : i + 1], generator=generators(i))
        assert torch.equal(alone[0], batch[i])
