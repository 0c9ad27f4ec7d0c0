"""Two validation results differ only because the network does."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.registry import MODELS, NOISES, SAMPLERS
from diffad.schedule import Schedule
from diffad.training.parts import build_data, build_scheduler
from diffad.training.validate import draw_validation_examples, save_estimates, validate


def drawn(config):
    """What the examples of a config are drawn with."""
    schedule = Schedule.from_diffusers(build_scheduler(config))
    return NOISES.build(**config.noise), SAMPLERS.build(**config.sampler), schedule


@pytest.fixture
def case(small):
    """A config, its validation task, schedule and an untrained network."""
    config = small("train.validate_items=6", "train.validate_levels=3", "train.batch_size=4")
    torch.manual_seed(0)
    network = MODELS.build(**config.model).eval()
    task = draw_validation_examples(build_data(config, "val"), *drawn(config), config)
    return config, task, Schedule.from_diffusers(build_scheduler(config)), network


def test_two_calls_are_equal_and_leave_the_global_generator_alone(case):
    config, task, schedule, network = case
    before = torch.get_rng_state()
    assert validate(network, task, schedule, config) == validate(network, task, schedule, config)
    assert torch.equal(before, torch.get_rng_state())


def test_task_is_the_same_in_every_run_and_spread_over_the_levels(case):
    config, task, _, _ = case
    again = draw_validation_examples(build_data(config, "val"), *drawn(config), config)
    assert torch.equal(task.example.x, again.example.x)
    assert torch.equal(task.example.z, again.example.z)
    assert task.t.tolist() == [1, 25, 50, 1, 25, 50]
    assert task.example.x.shape == (6, 1, 16, 16)
    assert task.example.x.min() == -1


def test_report_holds_means_over_all_levels_and_of_each(case):
    config, task, schedule, network = case
    report = validate(network, task, schedule, config)
    assert set(report) == {"val_loss", "val_mae", "val_mae_1", "val_mae_25", "val_mae_50"}
    assert report["val_mae"] == pytest.approx(
        np.mean([report[f"val_mae_{t}"] for t in (1, 25, 50)]), rel=1e-5
    )
    assert report["val_mae_1"] < report["val_mae_50"]


def test_picture_shows_clean_noisy_and_estimate_of_four_items(case, tmp_path):
    config, task, schedule, network = case
    path = tmp_path / "new" / "picture.png"
    save_estimates(network, task, schedule, path, config.schedule.prediction_type)
    pixels = np.asarray(Image.open(path))
    assert pixels.shape == (3 * 16, 4 * 16)
    clean = ((task.example.x[0, 0] + 1) / 2 * 255).byte().numpy()
    assert np.array_equal(pixels[:16, :16], clean)


def test_fewer_items_than_asked_for_are_all_used(small):
    config = small("data.count=2", "train.validate_items=9")
    task = draw_validation_examples(build_data(config, "val"), *drawn(config), config)
    assert len(task.example.x) == len(task.example.z) == len(task.t) == 2
