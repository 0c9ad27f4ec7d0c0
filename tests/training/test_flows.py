"""Training on straight paths: from noise, from damage, and after a teacher."""

import json

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError
from diffad.data.space import to_model
from diffad.models.folder import ModelError
from diffad.noise.gaussian import GaussianNoise
from diffad.samplers.oneshot import OneShot
from diffad.schedule import StraightSchedule
from diffad.training.example import make_batch_example
from diffad.training.run import train
from diffad.types import generator_for
from tests.training.test_objectives import batch_of, brains, log_of

FLOW = "schedule={num_train_timesteps: 1000, prediction_type: flow}"
SOURCE = "corrupt={tasks: [intensity], chance: 1.0, role: source}"
SAMPLER = "sampler={name: chain, level: 1000, steps: 1, step: euler_flow, start: scan}"
NETWORK = "model={name: unet2d, channels: [8], layers: 1, attention: false}"


@pytest.mark.parametrize("t", [1, 400, 1000])
def test_damage_stands_where_the_noise_does(small, t):
    image, brain = brains()
    batch, schedule = batch_of(small(FLOW, SOURCE, SAMPLER), image, brain), StraightSchedule.of(1000)
    generators, levels = [generator_for(1, i) for i in range(len(image))], torch.full((len(image),), t)
    before = [g.get_state() for g in generators]
    example = make_batch_example(OneShot(), batch, levels, GaussianNoise(), schedule, generators)
    x, y = to_model(batch.image), to_model(batch.damaged_image)
    assert (x != y).any()
    torch.testing.assert_close(example.x_t, (1 - t / 1000) * x + t / 1000 * y)
    assert torch.equal(example.z, y)
    assert torch.equal(example.x, x)
    assert all(torch.equal(g.get_state(), state) for g, state in zip(generators, before, strict=True))


@pytest.mark.parametrize("parts", [[], [SOURCE, SAMPLER]], ids=["noise", "damage"])
def test_a_flow_trains_is_saved_and_looks(small, parts):
    folder = train(small(FLOW, NETWORK, *parts))
    assert log_of(folder.parent)[-1]["val_mae"] > 0
    index = json.loads((folder / "model_index.json").read_text())
    assert index["scheduler"] == ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    pipe = AnomalyPipeline.from_pretrained(folder)
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    first, again = (pipe(x, seed=seed) for seed in (0, 1))
    assert first.anomaly_map.isfinite().all()
    assert torch.equal(first.reconstruction, again.reconstruction) == bool(parts)  # damage draws nothing


def test_a_second_stage_learns_from_a_teacher(small, tmp_path):
    first = train(small(FLOW, SOURCE, SAMPLER, NETWORK))
    stages = [f"train.network={first}", f"train.teacher={first}", "train.lr=1.0e-6", "name=second"]
    second = train(small(FLOW, SOURCE, SAMPLER, NETWORK, *stages))
    losses = [log_of(folder.parent)[0]["loss"] for folder in (first, second)]
    assert losses[1] < 0.5 * losses[0]  # it is asked for what it nearly says
    AnomalyPipeline.from_pretrained(second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([SOURCE], r"corrupt\.role: expected schedule\.prediction_type flow or cold with it"),
        (["train.teacher=nowhere"], r"train\.teacher: expected schedule\.prediction_type flow with it"),
        ([FLOW, SOURCE], r"sampler\.start: expected scan with corrupt\.role source"),
        ([FLOW, "corrupt.role=source"], r"corrupt\.tasks: expected what a source is damaged by"),
        (
            [FLOW, SOURCE, "sampler={name: patched, inner: {name: oneshot, levels: [10]}}"],
            r"corrupt\.role: sampler 'patched' makes examples of its own",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(small, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(small(*changes))


def test_variances_are_refused_for_straight_paths(small):
    with pytest.raises(ConfigError, match="schedule: expected no beta_start, beta_end or beta_schedule"):
        small("schedule={prediction_type: flow, beta_schedule: sigmoid}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shift": 3.0}, "expected evenly spaced levels of a flow"),
        ({"invert_sigmas": True}, "expected a flow whose last level is noise"),
        ({"num_train_timesteps": None}, "expected num_train_timesteps"),
    ],
)
def test_a_folder_of_another_direction_or_spacing_is_refused(small, change, message):
    folder = train(small(FLOW, NETWORK))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        AnomalyPipeline.from_pretrained(folder)
