"""Options and modes of coarse noise."""

import pytest
import torch

from diffad.noise.coarse import CoarseNoise


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 0}, "resolution to be a whole number of at least 1, got 0"),
        ({"resolution": 1, "reference": True}, "resolution to be a whole number of at least 2, got 1"),
        ({"resolution": 4.0}, "resolution to be a whole number of at least 1, got 4.0"),
        ({"resolution": True}, "resolution to be a whole number of at least 1, got True"),
        ({"sigma": 0}, "sigma to be positive and finite, got 0"),
        ({"sigma": float("nan")}, "sigma to be positive and finite, got nan"),
        ({"sigma": "wide"}, "sigma to be positive and finite, got 'wide'"),
    ],
    ids=str,
)
def test_names_the_option_that_is_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        CoarseNoise(**options)


@pytest.mark.parametrize("resolution", [4, 7, 16, 40])
@pytest.mark.parametrize("sigma", [1.0, 0.2])
def test_deviation_is_sigma_whatever_the_resolution(resolution, sigma, generators):
    noise = CoarseNoise(resolution, sigma)
    z = noise(torch.zeros(200, 2, 40, 36), generator=generators(*range(200)))
    assert z.square().mean().sqrt() == pytest.approx(sigma, rel=0.05)


def test_default_has_no_seam_and_the_reference_has_one(generators):
    like, seeds = torch.zeros(40, 1, 64, 64), range(40)
    worst = {}
    for reference in (False, True):
        z = CoarseNoise(reference=reference, sigma=1.0)(like, generator=generators(*seeds))
        jumps = (z - z.roll(1, -1)).square().mean(dim=(1, 2)).sqrt()
        worst[reference] = (jumps.max(dim=-1).values / jumps.median(dim=-1).values).mean()
    assert worst[False] < 2
    assert worst[True] > 3


def test_nodes_as_fine_as_the_image_give_white_noise(generators):
    z = CoarseNoise(32)(torch.zeros(50, 1, 32, 32), generator=generators(*range(50)))
    assert (z * z.roll(1, -1)).mean().abs() < 0.02
    assert z.std() == pytest.approx(1, abs=0.02)


def test_reference_rolls_the_whole_batch_like_its_first_item(generators):
    noise = CoarseNoise(reference=True)
    pair = noise(torch.zeros(2, 1, 64, 64), generator=generators(0, 1))
    second = noise(torch.zeros(1, 1, 64, 64), generator=generators(1))[0]
    rolls = []
    for seed in (0, 1):
        (g,) = generators(seed)
        torch.randn((1, 16, 16), generator=g)
        rolls.append([int(torch.randint(64, (), generator=g)) for _ in range(2)])
    shift = [a - b for a, b in zip(*rolls, strict=True)]
    assert shift != [0, 0]
    assert torch.equal(pair[1], second.roll(shift, (1, 2)))


def test_nodes_are_equally_far_apart_along_all_axes():
    noise = CoarseNoise(16)
    assert noise._count_nodes([64, 64]) == [16, 16]
    assert noise._count_nodes([96, 128]) == [12, 16]
    assert noise._count_nodes([8, 64, 48]) == [2, 16, 12]
    assert noise._count_nodes([1, 64, 64]) == [1, 16, 16]


def test_reference_has_as_many_nodes_along_every_axis():
    assert CoarseNoise(16, reference=True)._count_nodes([96, 128]) == [16, 16]
