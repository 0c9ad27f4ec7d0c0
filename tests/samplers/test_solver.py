"""DPM-Solver++ from a partial level, against the flow that is known exactly."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.samplers.chain import Chain
from diffad.samplers.solver import DPMSolver, _separate_levels
from tests.helpers.toys import (
    CountingNoise,
    GaussianDenoiser,
    WienerDenoiser,
    linear_schedule,
    recorder,
    smooth_power,
    white_noise,
)

X = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
STD = 0.5


def spread(t):
    """Standard deviation of N(0, STD^2) data at level t; the flow scales every state by their ratio."""
    abar = float(linear_schedule().alpha_bar(t))
    return (abar * STD**2 + 1 - abar) ** 0.5


def error(sampler, generators):
    """Largest distance of a twin from where the exact flow takes the jump's state."""
    x_t = linear_schedule().add_noise(X, white_noise(X, generator=generators(1, 2)), sampler.level)
    exact = x_t * spread(0) / spread(sampler.level)
    twin = sampler(X, GaussianDenoiser(STD), white_noise, generator=generators(1, 2)).image
    return float((twin - exact).abs().max())


def test_second_order_converges_as_the_square_of_the_evaluations(generators):
    errors = [error(DPMSolver(500, steps), generators) for steps in (10, 20, 40)]
    assert errors[0] / errors[1] > 3.5
    assert errors[1] / errors[2] > 3.5


def test_first_order_converges_linearly(generators):
    errors = [error(DPMSolver(500, steps, order=1), generators) for steps in (10, 20, 40)]
    assert [errors[0] / errors[1], errors[1] / errors[2]] == pytest.approx([2, 2], rel=0.2)


@pytest.mark.parametrize("level", [250, 500])
@pytest.mark.parametrize("spacing", ["snr", "level"])
@pytest.mark.parametrize("steps", [8, 10, 20])
def test_second_order_beats_ddim_at_equal_cost(level, spacing, steps, generators):
    ddim = error(Chain(level, steps, step="ddim"), generators)
    assert error(DPMSolver(level, steps, spacing=spacing), generators) < ddim / 2


def test_ten_evaluations_suffice_where_ddim_takes_hundreds(generators):
    assert error(DPMSolver(250, 10), generators) < 0.002 < error(Chain(250, step="ddim"), generators)


@pytest.mark.parametrize("steps", [1, 7, 25])
def test_first_order_on_even_levels_is_ddim(steps, generators):
    solver, chain = DPMSolver(250, steps, order=1, spacing="level"), Chain(250, steps, step="ddim")
    ours, theirs = (
        s(X, GaussianDenoiser(STD), white_noise, generator=generators(1, 2)).image for s in (solver, chain)
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [(16, 16), (8, 8, 8)], ids=["2-D", "3-D"])
def test_texture_follows_its_own_flow(shape, generators):
    """Every frequency of a stationary field is a flow of its own."""
    power, schedule = 0.25 * smooth_power(*shape, width=2), linear_schedule()
    x = torch.zeros(1, 1, *shape, dtype=torch.float64)
    records, on_step = recorder()
    sampler = DPMSolver(250, 40)
    twin = sampler(x, WienerDenoiser(power), white_noise, generator=generators(3), on_step=on_step).image
    abar = float(schedule.alpha_bar(250))
    gain = (power / (abar * power + 1 - abar)).sqrt()
    dims = tuple(range(2, x.ndim))
    exact = torch.fft.ifftn(torch.fft.fftn(records[0].x_t, dim=dims) * gain, dim=dims).real
    torch.testing.assert_close(twin, exact, rtol=0, atol=0.02)


@given(level=st.integers(1, 300), order=st.integers(1, 3), data=st.data())
@settings(deadline=None, max_examples=20)
def test_records_join_up_and_nfe_counts_the_calls(level, order, data):
    steps = data.draw(st.integers(1, level))
    spacing = data.draw(st.sampled_from(["snr", "level"]))
    records, on_step = recorder()
    denoiser, rng = GaussianDenoiser(), torch.Generator().manual_seed(0)
    sampler = DPMSolver(level, steps, order, spacing)
    restoration = sampler(X, denoiser, white_noise, generator=rng, on_step=on_step)
    assert restoration.nfe == denoiser.calls == len(records) == steps
    assert [r.t for r in records] == denoiser.levels[:: len(X)]
    assert (records[0].t, records[-1].s) == (level, 0)
    assert all(a.s == b.t < a.t and a.x_s is b.x_t for a, b in pairwise(records))
    assert restoration.image is records[-1].x_s
    assert restoration.image.isfinite().all()


def test_snr_spacing_is_even_in_the_logarithm():
    levels = torch.tensor(DPMSolver(250, 6)._list_levels(linear_schedule())[:-1])
    moves = linear_schedule().snr(levels).log().diff()
    # levels are whole, which matters most at the last, where there are few
    assert float(moves[:-1].std() / moves.mean()) < 0.05


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.data())
@settings(deadline=None, max_examples=50)
def test_coinciding_levels_move_apart(levels, data):
    levels = sorted(levels, reverse=True)
    highest = data.draw(st.integers(max(levels[0], len(levels)), 60))
    apart = _separate_levels([highest, *levels[1:]], highest)
    assert (apart[0], apart[-1], len(apart)) == (highest, 0, len(levels) + 1)
    assert all(t > s for t, s in pairwise(apart))


def test_noise_is_drawn_once_for_the_jump(generators):
    noise = CountingNoise()
    DPMSolver(100, 5)(X, GaussianDenoiser(), noise, generator=generators(1, 2))
    assert noise.levels == [100]


def test_the_schedule_of_the_denoiser_is_followed(generators):
    """A solver on its own default schedule would leave a tenth of the noise at the end."""
    schedule = linear_schedule(100)
    twin = DPMSolver(100, 50)(
        torch.zeros(4, 1, 64, 64),
        GaussianDenoiser(STD, schedule),
        white_noise,
        generator=generators(*range(4)),
    ).image
    assert float(twin.std()) == pytest.approx(STD, rel=0.02)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 0}, ValueError, "level must be at least 1, got 0"),
        ({"steps": 2.5}, TypeError, r"expected an integer for steps, got 2\.5"),
        ({"level": 10, "steps": 11}, ValueError, r"steps must be in 1\.\.10 .* got 11"),
        ({"order": 4}, ValueError, r"order must be in 1\.\.3, got 4"),
        ({"spacing": "karras"}, ValueError, "spacing must be one of .*, got 'karras'"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        DPMSolver(**options)
