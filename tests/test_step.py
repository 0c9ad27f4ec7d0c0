"""One move between any two levels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.protocols import Step
from diffad.schedule import Schedule
from diffad.step import DDIM, DDPM, ddim_step, renoise
from tests.helpers.toys import linear_schedule

SCHEDULE = linear_schedule()
STEPS = [DDIM(), DDIM(0.5), DDIM(1.0), DDPM(), DDPM("fixed_large")]
LEVELS = st.integers(0, 1000)


def draw(*names, shape=(2, 1, 6, 6), dtype=torch.float64):
    return [
        torch.randn(shape, generator=torch.Generator().manual_seed(i), dtype=dtype)
        for i, _ in enumerate(names)
    ]


@pytest.mark.parametrize("step", STEPS, ids=repr)
@pytest.mark.parametrize("t", [1, 2, 250, 1000])
def test_level_zero_returns_the_estimate_exactly(step, t):
    x_t, x_hat, z = draw("x_t", "x_hat", "z", dtype=torch.float32)
    assert isinstance(step, Step)
    assert torch.equal(step(x_t, x_hat, t, 0, SCHEDULE, z), x_hat)


@pytest.mark.parametrize("step", STEPS, ids=repr)
@pytest.mark.parametrize("t", [0, 250])
def test_staying_at_a_level_raises(step, t):
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    with pytest.raises(ValueError, match=f"another level, got t = s = {t}"):
        step(x_t, x_hat, t, t, SCHEDULE, z)


def test_options_out_of_range_raise():
    for eta in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"eta must be in \[0, 1\], got"):
            DDIM(eta)
    with pytest.raises(ValueError, match=r"variance must be one of .* got 'learned'"):
        DDPM("learned")


@given(t=st.integers(1, 1000), data=st.data())
@settings(deadline=None, max_examples=40)
def test_ddpm_of_any_pair_is_ddim_with_eta_one(t, data):
    s = data.draw(st.integers(0, t - 1))
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    torch.testing.assert_close(
        DDPM()(x_t, x_hat, t, s, SCHEDULE, z), DDIM(1.0)(x_t, x_hat, t, s, SCHEDULE, z)
    )


@given(levels=st.lists(LEVELS, min_size=3, max_size=3, unique=True))
@settings(deadline=None, max_examples=40)
def test_deterministic_moves_compose_when_the_estimate_is_constant(levels):
    u, s, t = sorted(levels)
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    via = ddim_step(ddim_step(x_t, x_hat, t, s, SCHEDULE, z), x_hat, s, u, SCHEDULE, z)
    torch.testing.assert_close(via, ddim_step(x_t, x_hat, t, u, SCHEDULE, z))


@given(levels=st.lists(LEVELS, min_size=2, max_size=2, unique=True), eta=st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None, max_examples=40)
def test_moves_between_any_levels_keep_the_marginal_of_a_known_image(levels, eta):
    """From x_t ~ N(sqrt(abar_t) x, 1 - abar_t) the move must reach N(sqrt(abar_s) x, 1 - abar_s)."""
    t, s = levels
    abar_t, abar_s = SCHEDULE.alpha_bar(torch.tensor([t, s]))
    unit, zero = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    mean = ddim_step(abar_t.sqrt() * unit, unit, t, s, SCHEDULE, zero, eta)
    of_state, of_z = (
        ddim_step(unit, zero, t, s, SCHEDULE, zero, eta),
        ddim_step(zero, zero, t, s, SCHEDULE, unit, eta),
    )
    torch.testing.assert_close(mean, abar_s.sqrt() * unit)
    torch.testing.assert_close(of_state**2 * (1 - abar_t) + of_z**2, (1 - abar_s) * unit)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_upward_moves_renoise_and_ignore_the_estimate(step):
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    ratio = SCHEDULE.alpha_bar(300) / SCHEDULE.alpha_bar(200)
    expected = ratio.sqrt() * x_t + (1 - ratio).sqrt() * z
    torch.testing.assert_close(step(x_t, x_hat, 200, 300, SCHEDULE, z), expected)
    torch.testing.assert_close(step(x_t, x_hat, 0, 300, SCHEDULE, z), SCHEDULE.add_noise(x_t, z, 300))
    torch.testing.assert_close(renoise(x_t, 200, 300, SCHEDULE, z), expected)


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_a_schedule_without_signal_at_the_top_stays_finite(step):
    schedule = Schedule(torch.tensor([0.9, 0.4, 0.0], dtype=torch.float64))
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    for t, s in [(3, 2), (3, 0), (0, 3), (2, 3)]:
        assert step(x_t, x_hat, t, s, schedule, z).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (2, 1, 3, 4, 5)])
def test_shape_and_dtype_of_the_state_are_kept(dtype, shape):
    x_t, x_hat, z = draw("x_t", "x_hat", "z", shape=shape, dtype=dtype)
    for step in STEPS:
        for s in (100, 300):
            x_s = step(x_t, x_hat, 200, s, SCHEDULE, z)
            assert (x_s.shape, x_s.dtype) == (x_t.shape, dtype)


def test_single_precision_agrees_with_double_at_the_smallest_levels():
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    for t, s in [(1, 0), (2, 1), (3, 1), (1000, 999)]:
        exact = ddim_step(x_t, x_hat, t, s, SCHEDULE, z, 0.5)
        single = ddim_step(x_t.float(), x_hat.float(), t, s, SCHEDULE, z.float(), 0.5)
        torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-5)


def test_steps_say_when_they_use_noise():
    assert [step.draws(1) for step in STEPS] == [False, True, True, True, True]
    assert not any(step.draws(0) for step in STEPS)
    x_t, x_hat, z = draw("x_t", "x_hat", "z")
    for step in STEPS:
        for s in (0, 100):
            same = torch.equal(step(x_t, x_hat, 200, s, SCHEDULE, z), step(x_t, x_hat, 200, s, SCHEDULE, -z))
            assert same is not step.draws(s)
