"""The bound that trains a variance, against distributions of torch and numbers that are known."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from diffad.schedule import StraightSchedule
from diffad.training.loss import denoising_loss
from diffad.training.variational import compute_log_variances, variational_bound, weigh_shades
from diffad.types import Example
from tests.helpers.toys import linear_schedule

SCHEDULE = linear_schedule()
DOUBLE = torch.float64


def example(t, seed=0, shape=(1, 1, 4, 5)):
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=draw) * 2 - 1
    z = torch.randn(shape, generator=draw)
    return Example(x, z, SCHEDULE.add_noise(x, z, torch.tensor([t] * shape[0])))


def bound(given, t, o, noise=None):
    output = torch.cat([given.z if noise is None else noise, torch.full_like(given.z, o)], 1)
    return variational_bound(output, given, torch.tensor([t] * len(given.x)), SCHEDULE, "epsilon")


def moments(t):
    """Weights of the posterior mean, its variance and beta at level t, by index as papers have them."""
    beta = [1e-4 + (0.02 - 1e-4) * i / 999 for i in range(1000)]
    i, abar = t - 1, 1.0
    for b in beta[:i]:
        abar *= 1 - b
    after = abar * (1 - beta[i])
    weights = beta[i] * math.sqrt(abar) / (1 - after), (1 - abar) * math.sqrt(1 - beta[i]) / (1 - after)
    return weights, (1 - abar) / (1 - after) * beta[i], beta[i]


@pytest.mark.parametrize("t", [2, 60, 500, 1000])
@pytest.mark.parametrize("o", [-1.0, 0.4, 1.0, 1.7])
def test_bound_is_the_divergence_of_the_two_moves_in_bits(t, o):
    given, noise = example(t), example(t, seed=1).z
    (clean, noisy), small, beta = moments(t)
    abar = float(SCHEDULE.alpha_bar(t))
    x_hat = (given.x_t - math.sqrt(1 - abar) * noise) / math.sqrt(abar)
    true = Normal((clean * given.x + noisy * given.x_t).double(), math.sqrt(small))
    v = (o + 1) / 2
    width = math.exp((v * math.log(beta) + (1 - v) * math.log(small)) / 2)
    expected = kl_divergence(true, Normal((clean * x_hat + noisy * given.x_t).double(), width)) / math.log(2)
    torch.testing.assert_close(bound(given, t, o, noise).double(), expected, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("t", [2, 5])  # far up both variances are nearly the same
def test_true_noise_and_the_posterior_variance_cost_nothing(t):
    given = example(t)
    assert bound(given, t, -1.0).abs().max() < 1e-4
    assert bound(given, t, -0.8).min() > 0
    assert bound(given, t, -1.2).min() > 0


def test_golden_variances():
    """beta and the posterior variance at index 499 and 1, as both cards have them."""
    for t, beta, posterior in ((500, 0.01004004, 0.01003136), (2, 1.199e-4, 5.453e-5)):
        small, large = compute_log_variances(torch.tensor([t]), SCHEDULE, torch.zeros(1, 1))
        assert (float(large.exp()), float(small.exp())) == pytest.approx((beta, posterior), rel=2e-4)
    first, second = (compute_log_variances(torch.tensor([t]), SCHEDULE, torch.zeros(1, 1)) for t in (1, 2))
    assert float(first[0]) == float(second[0])  # that of level 1 would be 0


def test_shades_of_a_voxel_sum_to_one():
    shades = torch.linspace(-1, 1, 256, dtype=DOUBLE)
    for mean, width in ((0.1, 0.05), (-0.99, 0.3), (1.4, 0.2)):
        logs = weigh_shades(shades, torch.tensor(mean, dtype=DOUBLE), torch.tensor(2 * math.log(width)))
        assert float((-logs).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_level_1_takes_the_bits_of_the_shade_around_the_estimate():
    given, o = example(1), 0.0
    (_, _), _, beta = moments(1)
    small = float(compute_log_variances(torch.tensor([1]), SCHEDULE, torch.zeros(1, 1))[0])
    log_variance = torch.tensor((math.log(beta) + small) / 2)
    expected = weigh_shades(given.x, given.x, log_variance) / math.log(2)
    torch.testing.assert_close(bound(given, 1, o), expected, rtol=0.02, atol=0.02)


def test_estimates_far_away_cost_much_but_no_infinity():
    given = example(1)
    far = bound(given, 1, -1.0, noise=given.z + 1e4)
    assert far.isfinite().all()
    assert far.min() == pytest.approx(-math.log2(1e-12), rel=1e-5)


class Answering(torch.nn.Module):
    """A network that answers what it was told to, with or without its variance."""

    def __init__(self, answer):
        super().__init__()
        self.answer = torch.nn.Parameter(answer)

    def forward(self, x_t, labels, variance=False):
        return self.answer if variance else self.answer[:, : x_t.shape[1]]


def test_mean_learns_from_the_noise_alone_and_the_variance_from_the_bound():
    t, given = torch.tensor([300]), example(300)
    answer = torch.cat([example(300, seed=1).z, torch.full_like(given.z, 0.3)], 1)
    gradients = []
    for variance in (False, True):
        network = Answering(answer)
        denoising_loss(network, given, t, SCHEDULE, "epsilon", variance=variance).sum().backward()
        gradients.append(network.answer.grad)
    assert torch.equal(gradients[0][:, :1], gradients[1][:, :1])
    assert not gradients[0][:, 1:].any()
    assert gradients[1][:, 1:].all()


def test_loss_is_the_squared_error_and_the_bound():
    t, given = torch.tensor([300]), example(300)
    answer = torch.cat([example(300, seed=1).z, torch.full_like(given.z, 0.3)], 1)
    both, noise = (
        denoising_loss(Answering(answer), given, t, SCHEDULE, "epsilon", variance=v) for v in (True, False)
    )
    bits = variational_bound(answer, given, t, SCHEDULE, "epsilon").mean((1, 2, 3))
    torch.testing.assert_close(both, noise + bits)


def test_items_alone_are_those_of_a_batch():
    t = torch.tensor([1, 2, 700])
    parts = [example(int(level), seed=int(level)) for level in t]
    batch = Example(*(torch.cat([getattr(p, name) for p in parts]) for name in ("x", "z", "x_t")))
    output = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(2))
    together = variational_bound(output, batch, t, SCHEDULE, "epsilon")
    for i, part in enumerate(parts):
        alone = variational_bound(output[i : i + 1], part, t[i : i + 1], SCHEDULE, "epsilon")
        torch.testing.assert_close(alone[0], together[i], rtol=1e-6, atol=1e-6)


def test_straight_paths_have_no_variance_to_learn():
    given = example(10)
    with pytest.raises(ValueError, match="without learned variance on straight paths"):
        variational_bound(
            torch.cat([given.z] * 2, 1), given, torch.tensor([10]), StraightSchedule.of(1000), "flow"
        )
