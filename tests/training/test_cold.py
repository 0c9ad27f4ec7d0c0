"""Cold diffusion: severities in the place of noise, moves between them, looks, and training pairs."""

import json
from itertools import pairwise

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad import AnomalyPipeline
from diffad.config import ConfigError, load
from diffad.data.space import to_model
from diffad.denoise import NetworkDenoiser
from diffad.models.folder import ModelError
from diffad.noise.gaussian import GaussianNoise
from diffad.registry import SAMPLERS, SCORES
from diffad.samplers.boxes import place_starts
from diffad.samplers.chain import Chain
from diffad.samplers.oneshot import OneShot
from diffad.samplers.severities import Severities
from diffad.schedule import ColdSchedule, Schedule, StraightSchedule, find_prediction
from diffad.score.base import begin_run
from diffad.step import Cold, EulerFlow
from diffad.training.example import make_batch_example
from diffad.training.parts import build_scheduler
from diffad.training.run import train
from diffad.types import generator_for
from tests.helpers.toys import linear_schedule, white_noise
from tests.training.test_objectives import batch_of, brains

PUBLISHED = {
    **{0: 0.9995, 5: 0.98202, 10: 0.94061, 19: 0.81570, 24: 0.72658, 25: 0.70771, 39: 0.43763, 49: 0.27239},
    **{50: 0.25820, 59: 0.15162, 74: 0.05078, 75: 0.04677, 79: 0.03325, 99: 0.00452},
}
"""Amplitudes s by the index of the published schedule."""
LABELS = {0: 99, 0.1: 65, 0.25: 51, 0.3: 47, 0.5: 36, 0.75: 23, 0.9: 13, 1: 0}
"""Published labels by severity; they count from the fully damaged end."""
COLD = "schedule={num_train_timesteps: 100, beta_start: 0.001, beta_end: 0.2, prediction_type: cold}"
SEVERITY = "corrupt={tasks: [disyre], chance: 1.0, role: severity}"
BLENDED = "corrupt={tasks: [disyre], chance: 1.0, role: source, full: true}"
SAMPLER = "sampler={name: severities, levels: [100, 50]}"
NETWORK = "model={name: unet2d, channels: [8], layers: 1, attention: false}"
RANGE = ["train.levels=[1, 100]", "train.validate_levels=2"]


@pytest.fixture(scope="module")
def schedule():
    return Schedule.from_diffusers(build_scheduler(load("disyre")))


def draw(count):
    return [torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in range(count)]


def build(network, schedule, clip=True):
    return NetworkDenoiser(network, schedule, "cold", clip)


def restore(network, x, schedule, **options):
    sampler = Severities(**options)
    return sampler(x, build(network, schedule), white_noise, generator=torch.Generator())


def test_severities_are_those_of_the_paper(schedule):
    """Golden fact 1 of DISYRE: the amplitudes, read from their end."""
    assert isinstance(schedule, ColdSchedule)
    for index, s in PUBLISHED.items():
        assert float(schedule.severities[100 - index]) == pytest.approx(s, abs=6e-6)
    assert schedule.severities[0] == 0
    assert (schedule.severities.diff() > 0).all()


@pytest.mark.parametrize(("severity", "label"), LABELS.items())
def test_level_of_a_severity_counts_from_the_healthy_end(schedule, severity, label):
    """Golden fact 1: the published label, turned over as the severities are; .3 is golden fact 5."""
    assert schedule.find_level(torch.tensor([severity])).tolist() == [100 - label]


@pytest.mark.parametrize("t", [0, 1, 30, 100])
def test_a_state_is_a_blend_of_healthy_and_damaged(schedule, t):
    x, y = draw(2)
    a = float(schedule.severities[t])
    torch.testing.assert_close(schedule.add_noise(x, y, t), (1 - a) * x + a * y)


@given(t=st.integers(1, 100), data=st.data())
@settings(deadline=None, max_examples=40)
def test_move_is_the_published_one(schedule, t, data):
    """Golden fact 2: four lines that estimate the damaged image, and blend again at both levels."""
    s = data.draw(st.integers(0, t - 1))
    x_t, x_hat = (v.double() for v in draw(2))
    a_t, a_s = (float(schedule.severities[level]) for level in (t, s))
    damaged = (x_t - (1 - a_t) * x_hat) / a_t
    at_t, at_s = ((1 - a) * x_hat + a * damaged for a in (a_t, a_s))
    moved = Cold()(x_t, x_hat, t, s, schedule, x_t)
    torch.testing.assert_close(moved, x_t - at_t + at_s, rtol=0, atol=1e-6)
    assert torch.equal(Cold()(x_t, x_hat, t, 0, schedule, x_t), x_hat)
    torch.testing.assert_close(Cold()(x_t, x_t, t, s, schedule, x_t), x_t)


def test_ratios_of_four_steps_are_the_published_ones(schedule):
    x = torch.ones(1, 1, 2, 2)
    levels = [100, 75, 50, 25, 0]
    ratios = [float(Cold()(x, 0 * x, t, s, schedule, x).mean()) for t, s in pairwise(levels)]
    assert ratios == pytest.approx([0.708, 0.365, 0.181, 0], abs=5e-4)


@pytest.mark.parametrize("chain", [False, True])
def test_network_is_told_level_less_one_and_asked_once_for_each(schedule, chain):
    labels = []

    def network(x_t, label):
        labels.extend(label.tolist())
        return x_t

    (x,) = draw(1)
    made = restore(network, x, schedule, chain=chain)
    assert made.nfe == 4
    assert labels == [label for label in (99, 74, 49, 24) for _ in range(3)]
    torch.testing.assert_close(made.image, x)


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("against", ["scan", "state"])
def test_perfect_and_copying_network_both_score_nothing(schedule, chain, against):
    """Golden fact 3: of a healthy scan; a trivial copy shows in a damaged one alone."""
    healthy, damaged = draw(2)
    score = SCORES.build("temporal", mean="arithmetic", top=None, against=against)

    def tell(x_t):
        return healthy.repeat(len(x_t) // len(healthy), 1, 1, 1)

    def mark(network, x):
        run = begin_run(score, x, schedule)
        sampler = Severities(chain=chain)
        made = sampler(
            x, build(network, schedule), white_noise, generator=torch.Generator(), on_step=run.record
        )
        return run.map((x + 1) / 2, made), made

    assert mark(lambda x_t, label: tell(x_t), healthy)[0].max() == 0
    assert mark(lambda x_t, label: x_t, damaged)[0].max() == 0
    found, made = mark(lambda x_t, label: tell(x_t), damaged)
    torch.testing.assert_close(made.image, healthy)
    if against == "scan" or not chain:
        torch.testing.assert_close(found, (damaged - healthy).abs() / 2)
    else:
        first, share = (damaged - healthy).abs() / 2, schedule.severities[[100, 75, 50, 25]].mean()
        torch.testing.assert_close(
            found, first * float(share / schedule.severities[100]), rtol=1e-4, atol=1e-6
        )


def test_windows_of_the_paper():
    """Golden fact 6: three quarters of a window lie in the next one."""
    assert [len(place_starts(length, 128, 0.75)) for length in (160, 192)] == [2, 3]


def test_published_pair_is_shown_as_it_is_and_told_its_strength(small, schedule):
    image, brain = brains()
    batch = batch_of(small(COLD, SEVERITY, SAMPLER, *RANGE), image, brain)
    generators = [generator_for(1, i) for i in range(len(image))]
    drawn = torch.full((len(image),), 7)
    example = make_batch_example(OneShot(), batch, drawn, GaussianNoise(), schedule, generators)
    assert torch.equal(example.x_t, to_model(batch.damaged_image))
    assert torch.equal(example.x, to_model(batch.image))
    assert torch.equal(example.level, schedule.find_level(batch.strength))
    assert (batch.strength > 0).all()


def test_blended_pair_is_as_damaged_as_its_level_says(small, schedule):
    image, brain = brains()
    batch = batch_of(small(COLD, BLENDED, SAMPLER, *RANGE), image, brain)
    generators = [generator_for(1, i) for i in range(len(image))]
    t = torch.full((len(image),), 50)
    example = make_batch_example(OneShot(), batch, t, GaussianNoise(), schedule, generators)
    x, y = to_model(batch.image), to_model(batch.damaged_image)
    assert (x != y).any()
    torch.testing.assert_close(example.x_t, x + 0.2582 * (y - x), atol=1e-4, rtol=0)
    assert example.level is None


@pytest.mark.parametrize("corrupt", [SEVERITY, BLENDED], ids=["published", "blended"])
def test_a_cold_network_trains_is_saved_and_looks(small, corrupt):
    folder = train(small(COLD, corrupt, SAMPLER, NETWORK, *RANGE))
    pipe = AnomalyPipeline.from_pretrained(folder)
    assert find_prediction(pipe.scheduler) == "cold"
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    first, again = (pipe(x, seed=seed) for seed in (0, 1))
    assert first.anomaly_map.isfinite().all()
    assert torch.equal(first.anomaly_map, again.anomaly_map)
    with pytest.raises(ValueError, match="expected a sampler that starts at the scan"):
        pipe(x, sampler={"name": "oneshot", "levels": [50]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([SEVERITY], r"corrupt\.role: expected schedule\.prediction_type cold with it"),
        ([COLD, SAMPLER, *RANGE], r"schedule\.prediction_type: expected corrupt\.role source or severity"),
        ([COLD, SEVERITY, *RANGE], r"sampler\.start: expected scan with corrupt\.role severity"),
        ([COLD, "corrupt.role=severity", *RANGE], r"corrupt\.tasks: expected what a severity is damaged by"),
    ],
)
def test_parts_that_do_not_fit_are_refused(small, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(small(*changes))


def test_directions_are_not_mixed_up(schedule):
    """A flow in the place of severities, severities in the place of a flow, and neither as the other."""
    (x,) = draw(1)
    straight, generator = StraightSchedule.of(100), torch.Generator()
    flow = NetworkDenoiser(lambda x_t, label: x_t, straight, "flow")
    with pytest.raises(ValueError, match=r"network of cold diffusion.*got one of prediction_type 'flow'"):
        Severities()(x, flow, white_noise, generator=generator)
    with pytest.raises(ValueError, match="step 'euler_flow' needs a network of flows"):
        EulerFlow()(x, x, 5, 3, schedule, x)
    for other in (straight, linear_schedule()):
        with pytest.raises(ValueError, match="step 'cold' needs a network of cold diffusion"):
            Cold()(x, x, 5, 3, other, x)
    with pytest.raises(ValueError, match="prediction_type must be another without levels of damage"):
        build(lambda x_t, label: x_t, linear_schedule())
    with pytest.raises(ValueError, match="prediction_type must be cold on levels of damage"):
        NetworkDenoiser(lambda x_t, label: x_t, schedule, "sample")


def test_a_folder_with_the_scheduler_of_a_flow_is_refused_on_use(small):
    folder = train(small(COLD, SEVERITY, SAMPLER, NETWORK, *RANGE))
    FlowMatchEulerDiscreteScheduler(100).save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises((ModelError, ValueError), match=r"network of cold diffusion|as they were written"):
        AnomalyPipeline.from_pretrained(folder)(torch.rand(1, 1, 16, 16))


def test_levels_that_a_schedule_has_not_are_refused(schedule):
    (x,) = draw(1)
    with pytest.raises(ValueError, match="expected levels up to 100 of the denoiser, got 101"):
        restore(lambda x_t, label: x_t, x, schedule, levels=[101])
    with pytest.raises(ValueError, match="levels of a chain must fall"):
        SAMPLERS.build("severities", levels=[25, 50], chain=True)
    with pytest.raises(ValueError, match="step 'cold' has no options, got eta"):
        Chain(step="cold", eta=0.5)
    with pytest.raises(ValueError, match=r"steps must be in 1\.\.1000"):
        Chain(level=1000, steps=1001, step="euler_flow", start="scan")
    with pytest.raises(ValueError, match="against must be scan or state"):
        SCORES.build("temporal", against="twin")


def test_cold_step_in_a_chain_from_the_scan_is_the_sampler(schedule):
    (x,) = draw(1)
    network = build(lambda x_t, label: 0.5 * x_t, schedule)
    chain = Chain(level=100, steps=4, step="cold", start="scan")
    made = chain(x, network, white_noise, generator=torch.Generator())
    own = Severities(chain=True)(x, network, white_noise, generator=torch.Generator())
    torch.testing.assert_close(made.image, own.image)


def test_flow_of_plain_diffusion_starts_as_noisy_as_it():
    config, straight = load("ddpm", ["variant=flow"]), StraightSchedule.of(1000)
    ratios = [float(straight.snr(t).sqrt()) for t in range(1, 1000)]
    wanted = float(linear_schedule().snr(250).sqrt())
    assert config.sampler["level"] == 1 + min(range(999), key=lambda k: abs(ratios[k] - wanted))
    assert SAMPLERS.build(**config.sampler).step == "euler_flow"
    assert isinstance(Schedule.from_diffusers(build_scheduler(config)), StraightSchedule)
