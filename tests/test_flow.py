"""Straight paths: levels, moves and networks of rectified flows, and damage as their far end."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.denoise import NetworkDenoiser, clean_estimate, training_target
from diffad.protocols import Step
from diffad.samplers.chain import Chain
from diffad.schedule import Schedule, StraightSchedule, find_prediction
from diffad.step import DDIM, DDPM, EulerFlow, renoise
from diffad.training.loss import snr_weight
from diffad.training.reflow import Teacher
from diffad.types import Example
from tests.helpers.toys import ConstantDenoiser, linear_schedule, white_noise

STRAIGHT = StraightSchedule.of(1000)
SHAPE = (2, 1, 6, 6)


def name_step(step):
    return type(step).__name__ if isinstance(step, EulerFlow) else repr(step)


def draw(count, dtype=torch.float64):
    return [torch.randn(SHAPE, generator=torch.Generator().manual_seed(i), dtype=dtype) for i in range(count)]


@pytest.mark.parametrize("t", [0, 1, 250, 999, 1000])
def test_a_level_holds_its_share_of_noise(t):
    x, z = draw(2)
    torch.testing.assert_close(STRAIGHT.add_noise(x, z, t), (1 - t / 1000) * x + t / 1000 * z)
    alpha, sigma = STRAIGHT.amplitudes(torch.tensor([t, t]), x)
    torch.testing.assert_close(STRAIGHT.size(t) ** 2, (alpha**2 + sigma**2)[0, 0, 0, 0])


def test_states_of_diffusion_have_size_1():
    assert torch.equal(linear_schedule().size(torch.tensor([0, 7, 1000])), torch.ones(3, dtype=torch.float64))


def test_scheduler_of_diffusers_is_read():
    scheduler = FlowMatchEulerDiscreteScheduler(400)
    schedule = Schedule.from_diffusers(scheduler)
    assert isinstance(schedule, StraightSchedule)
    assert torch.equal(schedule.alphas_cumprod, StraightSchedule.of(400).alphas_cumprod)
    assert find_prediction(scheduler) == "flow"
    assert (
        find_prediction(SimpleNamespace(alphas_cumprod=0, config=SimpleNamespace(prediction_type="sample")))
        == "sample"
    )


@pytest.mark.parametrize("options", [{"shift": 3.0}, {"use_karras_sigmas": True}])
def test_levels_of_another_spacing_are_refused(options):
    scheduler = FlowMatchEulerDiscreteScheduler(1000, **options)
    if "use_karras_sigmas" in options:
        scheduler.set_timesteps(1000)
    with pytest.raises(ValueError, match="expected evenly spaced levels of a flow"):
        Schedule.from_diffusers(scheduler)


@given(levels=st.lists(st.integers(1, 1000), min_size=1, max_size=6, unique=True))
@settings(deadline=None, max_examples=30)
def test_moves_are_those_of_diffusers(levels):
    """Their network predicts noise less data, which is what "flow" means here, at sigma = t / T."""
    levels = sorted(levels, reverse=True)
    scheduler = FlowMatchEulerDiscreteScheduler(1000)
    scheduler.set_timesteps(sigmas=[t / 1000 for t in levels])
    state = ours = draw(1, torch.float32)[0]
    for (t, s), time in zip(zip(levels, [*levels[1:], 0], strict=True), scheduler.timesteps, strict=True):
        velocity = torch.sin(3 * state + t)
        state = scheduler.step(velocity, time, state, return_dict=False)[0]
        answer = torch.sin(3 * ours + t)
        x_hat = clean_estimate(answer, ours, torch.tensor(t), STRAIGHT, "flow")
        ours = EulerFlow()(ours, x_hat, t, s, STRAIGHT, ours)
    torch.testing.assert_close(ours, state, rtol=1e-4, atol=1e-5)


@given(t=st.integers(1, 1000), data=st.data())
@settings(deadline=None, max_examples=40)
def test_euler_is_ddim_without_noise(t, data):
    s = data.draw(st.integers(0, t - 1))
    x_t, x_hat, z = draw(3)
    moves = [step(x_t, x_hat, t, s, STRAIGHT, z) for step in (EulerFlow(), DDIM())]
    torch.testing.assert_close(*moves, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "step", [EulerFlow(), DDIM(), DDIM(0.5), DDIM(1.0), DDPM(), DDPM("fixed_large")], ids=name_step
)
def test_level_zero_returns_the_estimate(step):
    x_t, x_hat, z = draw(3)
    assert isinstance(step, Step)
    assert torch.equal(step(x_t, x_hat, 700, 0, STRAIGHT, z), x_hat)
    with pytest.raises(ValueError, match="another level, got t = s = 5"):
        step(x_t, x_hat, 5, 5, STRAIGHT, z)


@pytest.mark.parametrize(("t", "s"), [(1000, 600), (600, 20), (300, 299), (20, 600), (600, 1000)])
@pytest.mark.parametrize("step", [EulerFlow(), DDIM(0.5), DDIM(1.0), DDPM()], ids=name_step)
def test_a_move_keeps_the_shares_of_scan_and_noise(step, t, s):
    """With the truth as the estimate, a state of level t becomes one of level s, whatever the step."""
    x = torch.full((400, 1, 16, 16), 2.0, dtype=torch.float64)
    z, fresh = (
        torch.randn(x.shape, generator=torch.Generator().manual_seed(i), dtype=x.dtype) for i in (1, 2)
    )
    state = step(STRAIGHT.add_noise(x, z, t), x, t, s, STRAIGHT, fresh)
    assert state.mean() == pytest.approx((1 - s / 1000) * 2, abs=0.02)
    assert state.std() == pytest.approx(s / 1000, abs=0.01)


def test_climbing_keeps_the_state_in_expectation():
    x_t = torch.ones(SHAPE, dtype=torch.float64)
    torch.testing.assert_close(renoise(x_t, 500, 750, STRAIGHT, torch.zeros_like(x_t)), 0.5 * x_t)


@pytest.mark.parametrize("schedule", [linear_schedule(), STRAIGHT], ids=["diffusion", "straight"])
def test_velocity_gives_the_image_back(schedule):
    x, z = draw(2)
    for t in (1, 400, 1000):
        target = training_target(x, z, torch.tensor(t), schedule, "flow")
        torch.testing.assert_close(target, z - x)
        x_t = schedule.add_noise(x, z, t)
        torch.testing.assert_close(clean_estimate(target, x_t, torch.tensor(t), schedule, "flow"), x)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_what_is_undefined_on_straight_paths_is_refused(prediction):
    with pytest.raises(ValueError, match="prediction_type must be sample or flow on straight paths"):
        NetworkDenoiser(lambda x_t, labels: x_t, STRAIGHT, prediction)
    assert NetworkDenoiser(lambda x_t, labels: x_t, STRAIGHT, "sample").prediction_type == "sample"


def test_min_snr_weight_is_that_of_the_image():
    """w_u (u - u')^2 = min(SNR, gamma) (x - x')^2."""
    t = torch.tensor([1, 300, 600, 999])
    tau = t / 1000
    snr = ((1 - tau) / tau) ** 2
    torch.testing.assert_close(snr_weight(t, STRAIGHT, "flow", 5.0), snr.clamp(max=5) * tau**2)
    assert snr_weight(torch.tensor([1000]), STRAIGHT, "flow", 5.0) == 0


def test_euler_needs_straight_paths():
    x_t, x_hat, z = draw(3)
    with pytest.raises(ValueError, match="step 'euler_flow' needs a network of flows"):
        EulerFlow()(x_t, x_hat, 5, 3, linear_schedule(), z)
    with pytest.raises(ValueError, match="step 'euler_flow' has no options, got eta"):
        Chain(step="euler_flow", eta=0.5)
    with pytest.raises(ValueError, match="start must be one of"):
        Chain(start="end")


def rebuild(network, x, steps):
    """Undo the damage of ``x`` in some moves; the evaluations, too."""
    denoiser = NetworkDenoiser(network, STRAIGHT, "flow", clip=False)
    sampler = Chain(level=1000, steps=steps, step="euler_flow", start="scan")
    made = sampler(x, denoiser, white_noise, generator=torch.Generator())
    return made.image, made.nfe


@pytest.mark.parametrize("steps", [1, 2, 7, 49])
def test_a_perfect_velocity_repairs_in_any_number_of_moves(steps):
    """Golden facts of REFLECT: the path is straight, so that one move is as good as many."""
    healthy, damaged = draw(2, torch.float32)
    image, nfe = rebuild(lambda x_t, labels: damaged - healthy, damaged, steps)
    torch.testing.assert_close(image, healthy, rtol=1e-5, atol=1e-5)
    assert nfe == steps


def test_a_network_that_answers_nothing_leaves_the_scan_as_it_is():
    (x,) = draw(1, torch.float32)
    image, nfe = rebuild(lambda x_t, labels: torch.zeros_like(x_t), x, 4)
    torch.testing.assert_close(image, x)
    assert nfe == 4


def test_a_chain_from_the_scan_draws_nothing():
    (x,) = draw(1, torch.float32)

    def refuse(*args, **options):
        raise AssertionError("noise was drawn")

    sampler = Chain(level=1000, steps=3, step="euler_flow", start="scan")
    made = sampler(x, ConstantDenoiser(x * 0, STRAIGHT), refuse, generator=torch.Generator())
    assert torch.equal(made.image, x * 0)


class Still(torch.nn.Module):
    """A network whose velocity is the same everywhere and at all levels."""

    def __init__(self, velocity):
        super().__init__()
        self.velocity = velocity

    def forward(self, x_t, labels):
        return self.velocity.expand_as(x_t)


@pytest.mark.parametrize("steps", [1, 5])
def test_a_teacher_of_constant_velocity_asks_for_what_it_answers(steps):
    x, z = draw(2, torch.float32)
    t, velocity = torch.tensor([300, 900]), torch.full((1, 1, 6, 6), 0.25)
    example = Example(x, z, STRAIGHT.add_noise(x, z, t))
    taught = Teacher(Still(velocity), STRAIGHT, steps).replace_target(example, t)
    torch.testing.assert_close(taught.x, z - 0.25, rtol=1e-5, atol=1e-5)
    assert torch.equal(taught.z, z)
    target = training_target(taught.x, taught.z, t, STRAIGHT, "flow")
    torch.testing.assert_close(target, velocity.expand_as(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(taught.x_t, STRAIGHT.add_noise(taught.x, z, t))


def test_a_teacher_that_knows_the_truth_changes_nothing():
    x, z = draw(2, torch.float32)
    t = torch.tensor([10, 500])
    example = Example(x, z, STRAIGHT.add_noise(x, z, t))
    taught = Teacher(Still(z - x), STRAIGHT, 5).replace_target(example, t)
    torch.testing.assert_close(taught.x, x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(taught.x_t, example.x_t, rtol=1e-5, atol=1e-5)
