"""The loss has the weights and the learning rate the values of their formulas."""

import math

import pytest
import torch
from diffusers import DDPMScheduler

from diffad.schedule import Schedule
from diffad.training.loss import denoising_loss, learning_rate, snr_weight
from diffad.types import Example
from tests.helpers.toys import ConstantDenoiser, KnownNetwork

SCHEDULE = Schedule.from_diffusers(DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear"))
T = torch.tensor([1, 10, 250, 1000])
PREDICTIONS = ("epsilon", "v_prediction", "sample")


def noised(x, z, t):
    """The example of a whole image."""
    return Example(x, z, SCHEDULE.add_noise(x, z, torch.as_tensor(t)))


def snr_by_hand(t):
    abar = math.prod(1 - (1e-4 + (0.02 - 1e-4) * i / 999) for i in range(t))
    return abar / (1 - abar)


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weights_follow_the_formula_of_each_prediction(gamma):
    snr = [snr_by_hand(t) for t in T.tolist()]
    expected = {
        "epsilon": [min(s, gamma) / s for s in snr],
        "v_prediction": [min(s, gamma) / (s + 1) for s in snr],
        "sample": [min(s, gamma) for s in snr],
    }
    for prediction, weights in expected.items():
        got = snr_weight(T, SCHEDULE, prediction, gamma)
        torch.testing.assert_close(
            got, torch.tensor(weights), rtol=1e-3, atol=1e-9
        )  # diffusers keeps abar in float32


def test_golden_weights_at_level_250():
    t = torch.tensor([250])  # abar = .524085, SNR = 1.101205
    assert float(snr_weight(t, SCHEDULE, "epsilon", 5.0)) == pytest.approx(1.0)
    assert float(snr_weight(t, SCHEDULE, "epsilon", 1.0)) == pytest.approx(0.90810, abs=2e-5)
    assert float(snr_weight(t, SCHEDULE, "v_prediction", 5.0)) == pytest.approx(0.524085, abs=2e-6)
    assert float(snr_weight(t, SCHEDULE, "sample", 5.0)) == pytest.approx(1.10121, abs=2e-5)


def test_without_a_cap_every_level_weighs_one():
    assert snr_weight(T, SCHEDULE, "epsilon", None).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_a_network_that_knows_the_answer_has_no_loss(prediction, kind):
    x, z = torch.rand(4, 1, 6, 6) * 2 - 1, torch.randn(4, 1, 6, 6)
    network = KnownNetwork(ConstantDenoiser(x, SCHEDULE), prediction)
    t = torch.tensor([5, 50, 250, 900])
    loss = denoising_loss(network, noised(x, z, t), t, SCHEDULE, prediction, kind, 5.0)
    torch.testing.assert_close(loss, torch.zeros(4), rtol=0, atol=1e-5)


def test_loss_of_a_silent_network_is_the_size_of_its_target():
    x, z = torch.rand(4, 1, 6, 6), torch.randn(4, 1, 6, 6)
    args = (lambda x_t, labels: torch.zeros_like(x_t), noised(x, z, T), T, SCHEDULE)
    torch.testing.assert_close(denoising_loss(*args, "epsilon", "l2"), z.square().mean((1, 2, 3)))
    torch.testing.assert_close(denoising_loss(*args, "epsilon", "l1"), z.abs().mean((1, 2, 3)))
    torch.testing.assert_close(denoising_loss(*args, "sample", "l2"), x.square().mean((1, 2, 3)))
    weighted = denoising_loss(*args, "epsilon", "l2", 5.0)
    torch.testing.assert_close(weighted, z.square().mean((1, 2, 3)) * snr_weight(T, SCHEDULE, "epsilon", 5.0))


def test_item_alone_has_the_loss_it_has_in_a_batch():
    x, z = torch.rand(4, 1, 6, 6), torch.randn(4, 1, 6, 6)
    args = (SCHEDULE, "v_prediction", "l2", 5.0)
    whole = denoising_loss(lambda x_t, labels: x_t * 0.5, noised(x, z, T), T, *args)
    for i in range(4):
        part = slice(i, i + 1)
        example = noised(x[part], z[part], T[part])
        alone = denoising_loss(lambda x_t, labels: x_t * 0.5, example, T[part], *args)
        assert torch.equal(alone[0], whole[i])


def test_loss_counts_the_region_only():
    x, z = torch.rand(4, 2, 6, 6), torch.randn(4, 2, 6, 6)
    region = torch.zeros(4, 1, 6, 6, dtype=torch.bool)
    region[:, :, 1:4, 2:4] = True
    example = Example(x, z, x, region)
    output = torch.randn(4, 2, 6, 6, requires_grad=True)
    loss = denoising_loss(lambda x_t, labels: output, example, T, SCHEDULE, "sample", "l1")
    box = (output - x).abs()[:, :, 1:4, 2:4]
    torch.testing.assert_close(loss, box.mean((1, 2, 3)))
    loss.sum().backward()
    assert torch.equal(output.grad.abs().sum(1, keepdim=True) > 0, region)


def test_an_empty_region_has_no_loss():
    x, none = torch.rand(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    loss = denoising_loss(lambda x_t, labels: x_t + 1, Example(x, x, x, none), T[:1], SCHEDULE, "sample")
    assert loss.tolist() == [0]


def test_learning_rate_warms_up_and_falls_by_a_cosine():
    rates = [learning_rate(step, 1.0, 4, 12, 0.1) for step in range(13)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    expected = [0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(9)]
    assert rates[4:] == pytest.approx(expected, abs=1e-6)
    assert rates[8] == pytest.approx(0.55)
    assert rates[12] == pytest.approx(0.1)


def test_learning_rate_without_warm_up_begins_at_its_height():
    assert learning_rate(0, 3e-4, 0, 10) == pytest.approx(3e-4)
    assert learning_rate(10, 3e-4, 0, 10) == pytest.approx(0.0, abs=1e-10)


def test_warm_up_longer_than_training_is_no_division_by_zero():
    assert learning_rate(4, 1.0, 10, 5) == 0.5
    assert learning_rate(10, 1.0, 10, 5) == 1.0
