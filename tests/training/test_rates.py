"""Parts of a network learn at rates of their own."""

from types import MappingProxyType

import pytest
import torch

from diffad.config import ConfigError, load
from diffad.training.parts import check_network
from diffad.training.rates import group_parameters


class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.teacher, self.student = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)


class Scaled(Plain):
    rate_factors = MappingProxyType({"teacher": 0.02})


def test_network_without_factors_is_one_group_in_its_order():
    network = Plain()
    (group,) = group_parameters(network)
    assert group["factor"] == 1.0
    assert all(a is b for a, b in zip(group["params"], network.parameters(), strict=True))


def test_part_has_its_share_and_every_weight_is_in_one_group():
    network = Scaled()
    rest, teacher = group_parameters(network)
    assert (rest["factor"], teacher["factor"]) == (1.0, 0.02)
    assert [id(p) for p in teacher["params"]] == [id(p) for p in network.teacher.parameters()]
    assert len(rest["params"]) + len(teacher["params"]) == len(list(network.parameters()))


def test_part_without_weights_is_refused():
    network = Scaled()
    network.rate_factors = {"expert": 0.5}
    with pytest.raises(ValueError, match="parts with weights, got expert"):
        group_parameters(network)


def make_trainer(folder, *changes):
    from accelerate import Accelerator

    from diffad.training.trainer import Trainer

    data = "data={name: toy, size: 32, count: 4}"
    quick = ["train.steps=4", "train.batch_size=2", "train.warmup=0", "space.size=32"]
    config = load("urd", ["variant=smoke", data, f"output={folder}", *quick, *changes])
    return Trainer(config, Accelerator(cpu=True))


def test_teacher_of_urd_learns_at_a_fiftieth_of_the_rate(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer._begin_step()
    rest, teacher = trainer.optimizer.param_groups
    assert rest["lr"] == 5e-3
    assert teacher["lr"] == pytest.approx(1e-4)
    assert {id(p) for p in teacher["params"]} == {id(p) for p in trainer.unwrapped.teacher.parameters()}


def test_what_learns_from_synthetic_anomalies_is_refused_without_any(tmp_path):
    config = load("urd", ["variant=smoke", "corrupt.tasks=[]"])
    network = make_trainer(tmp_path).unwrapped
    with pytest.raises(ConfigError, match=r"corrupt.tasks: expected some.* 'urd' learns .* found tasks \[\]"):
        check_network(network, config)
