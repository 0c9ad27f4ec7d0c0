"""One evaluation per look, and the mean of the looks."""

import pytest
import torch

from diffad.protocols import Denoiser
from diffad.samplers.chain import Chain
from diffad.samplers.oneshot import OneShot
from diffad.schedule import Schedule
from tests.helpers.toys import CountingNoise, GaussianDenoiser, IdentityDenoiser, recorder, white_noise

X = {
    "2-D": torch.rand(3, 2, 6, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    "3-D": torch.rand(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(1)) * 2 - 1,
}


@pytest.fixture(params=X.values(), ids=X)
def x(request):
    return request.param


@pytest.mark.parametrize(
    ("levels", "repeats"), [((100,), 1), ([100], 3), ([50, 100, 400], 1), ((300, 20), 2)]
)
@pytest.mark.parametrize("one_generator", [False, True])
def test_stacked_looks_equal_looped_looks(x, levels, repeats, one_generator, generators):
    twins = []
    for stack in (True, False):
        rng = generators(0)[0] if one_generator else generators(*range(len(x)))
        denoiser = GaussianDenoiser()
        twins.append(OneShot(levels, repeats, stack)(x, denoiser, white_noise, generator=rng))
        assert denoiser.calls == (1 if stack else len(levels) * repeats)
        assert twins[-1].nfe * len(x) == denoiser.items == len(levels) * repeats * len(x)
    torch.testing.assert_close(twins[0].image, twins[1].image, rtol=0, atol=1e-5)


class Overshooting(Denoiser):
    """Answers twice the state, cut to the model range where it is clamped."""

    schedule = Schedule.linear()

    def __init__(self, clip=True):
        self.clip = clip

    @property
    def clamps(self):
        return self.clip

    def __call__(self, x_t, t, **cond):
        return (3 * x_t).clamp(-1, 1) if self.clip else 3 * x_t

    def without_clamp(self):
        return Overshooting(clip=False)


@pytest.mark.parametrize("stack", [True, False])
def test_estimates_are_clamped_unless_told_otherwise(x, stack, generators):
    looks = {
        clip: OneShot([40, 200], stack=stack, **({} if clip is None else {"clip": clip}))(
            x, Overshooting(), white_noise, generator=generators(*range(len(x)))
        ).image
        for clip in (None, True, False)
    }
    assert torch.equal(looks[None], looks[True])
    assert looks[True].abs().max() <= 1 < looks[False].abs().max()


@pytest.mark.parametrize("stack", [True, False])
def test_twin_is_the_mean_of_the_estimates_in_order(x, stack, generators):
    records, on_step = recorder()
    seeds = range(len(x))
    sampler = OneShot([40, 200], 2, stack)
    twin = sampler(x, GaussianDenoiser(), white_noise, generator=generators(*seeds), on_step=on_step)
    assert [(r.t, r.s) for r in records] == [(40, 0), (40, 0), (200, 0), (200, 0)]
    torch.testing.assert_close(twin.image, torch.stack([r.x_hat for r in records]).mean(0))
    rng, denoiser = generators(*seeds), GaussianDenoiser()
    for record in records:
        x_t = denoiser.schedule.add_noise(x, white_noise(x, generator=rng), record.t)
        assert torch.equal(record.x_t, x_t)
        assert torch.equal(record.x_hat, denoiser(x_t, torch.tensor(record.t)))
        assert torch.equal(record.x_s, record.x_hat)


def test_one_look_is_a_chain_of_one_move(x, generators):
    seeds = range(len(x))
    shot = OneShot(150)(x, GaussianDenoiser(), white_noise, generator=generators(*seeds))
    chain = Chain(150, 1)(x, GaussianDenoiser(), white_noise, generator=generators(*seeds))
    assert torch.equal(shot.image, chain.image)


def test_more_looks_average_the_noise_away(generators):
    x = torch.zeros(2, 1, 32, 32)

    def spread(repeats):
        return float(
            OneShot(100, repeats)(x, IdentityDenoiser(), white_noise, generator=generators(1, 2)).image.std()
        )

    assert spread(16) == pytest.approx(spread(1) / 4, rel=0.1)


@pytest.mark.parametrize("stack", [True, False])
def test_noise_is_drawn_once_for_each_look(x, stack, generators):
    noise = CountingNoise()
    OneShot([5, 9], 2, stack)(x, GaussianDenoiser(), noise, generator=generators(*range(len(x))))
    assert noise.levels == [5, 5, 9, 9]


def test_levels_may_be_bare_or_any_sequence():
    assert OneShot(7).levels == OneShot([7]).levels == OneShot((7,)).levels == (7,)
    assert OneShot(range(1, 4)).levels == (1, 2, 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"levels": []}, ValueError, "expected at least one level, got none"),
        ({"levels": [100, 0]}, ValueError, "levels must be at least 1, got 0"),
        ({"levels": [1.5]}, TypeError, r"expected an integer for levels, got 1\.5"),
        ({"levels": "100"}, TypeError, "integer or a sequence of integers, got '100'"),
        ({"levels": None}, TypeError, "integer or a sequence of integers, got None"),
        ({"levels": True}, TypeError, "expected an integer for levels, got True"),
        ({"repeats": 0}, ValueError, "repeats must be at least 1, got 0"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        OneShot(**options)
