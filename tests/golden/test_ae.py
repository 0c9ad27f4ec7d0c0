"""What the papers of autoencoders as detectors state in numbers."""

import math

import pytest
import torch

from diffad.detectors.compare import dissimilarity
from diffad.detectors.memae import CodeMemory
from diffad.registry import DETECTORS
from diffad.types import DetectorExample


def make_example(x, seed=0):
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(x))]
    brain = torch.ones_like(x[:, :1])
    return DetectorExample(x, x, brain, torch.zeros_like(brain), torch.zeros(len(x)), generators)


@pytest.mark.parametrize(
    ("latent", "count"), [(1, 2_320_449), (4, 2_326_596), (16, 2_351_184), (32, 2_383_968), (128, 2_580_672)]
)
def test_published_counts_of_weights(latent, count):
    network = DETECTORS.build("ae", latent=latent)
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize("name", ["ae", "aeu", "memae", "vae"])
def test_the_code_is_the_only_path(name):
    network = DETECTORS.build(name, size=16, channels=[4, 8], hidden=8, latent=2).eval()
    network.autoencoder.squeeze = Constant(network.autoencoder.squeeze)
    x = torch.rand(3, 1, 16, 16)
    twin = network.detect(x, torch.ones_like(x)).image
    assert torch.equal(twin[0], twin[1])
    assert torch.equal(twin[0], twin[2])


class Constant(torch.nn.Module):
    """Answers the same whatever it is asked."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.full_like(self.inner(x), 0.3)


def test_map_is_the_squared_error_and_its_mean_the_loss():
    torch.manual_seed(0)
    network = DETECTORS.build("ae", size=16, channels=[4, 8], hidden=8, latent=2).eval()
    x = torch.rand(2, 1, 16, 16)
    code = network.autoencoder.encode(x)
    raw = network.autoencoder.decode(code)
    anomaly = network.detect(x, torch.ones_like(x)).map
    torch.testing.assert_close(anomaly, (x - raw).square())
    torch.testing.assert_close(network(make_example(x)), (x - raw).square().flatten(1).mean(1))


def test_divergence_of_a_variational_code():
    """A code N(0, 1) costs nothing; N(1, 1) costs half of the weight, a mean over the numbers."""
    network = DETECTORS.build("vae", size=16, channels=[4, 8], hidden=8, latent=2, kl=2.0).eval()
    x, costs = torch.rand(2, 1, 16, 16), []
    for mean in (0.0, 1.0):
        answer = torch.tensor([[mean, mean, 0.0, 0.0]]).expand(2, 4)
        network.autoencoder.squeeze = Answer(answer)
        network.autoencoder.expand = Answer(torch.zeros(2, *network.autoencoder.shape))
        costs.append(network(make_example(x)))
    torch.testing.assert_close(costs[1] - costs[0], torch.full((2,), 2.0 / 2))


class Answer(torch.nn.Module):
    """Answers what it was built with."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


def test_published_weights_of_the_family_are_the_defaults():
    assert DETECTORS.build("vae").config.kl == 0.005
    memory = DETECTORS.build("memae").config
    assert (memory.slots, memory.shrink, memory.entropy) == (25, 0.0025, 0.0002)


def test_uncertainty_weighs_the_error_and_is_paid_for():
    """With the error e and the log-variance s: exp(-s) e + s, least at s = log e, where it is 1 + log e."""
    network = DETECTORS.build("aeu", size=16, channels=[4, 8], hidden=8, latent=2).eval()
    x = torch.full((1, 1, 16, 16), 0.5)
    losses = {}
    for s in (-3.0, math.log(0.04), -1.0):
        answer = torch.cat([torch.full_like(x, 0.3), torch.full_like(x, s)], 1)
        network.autoencoder.decoder = Answer(answer)
        losses[s] = float(network(make_example(x)))
        anomaly = network.detect(x, torch.ones_like(x)).map
        torch.testing.assert_close(anomaly, torch.full_like(x, math.exp(-s) * 0.04))
    assert min(losses, key=losses.get) == math.log(0.04)
    assert losses[math.log(0.04)] == pytest.approx(1 + math.log(0.04), rel=1e-5)


def test_memory_answers_with_what_it_remembers():
    memory = CodeMemory(3, 4, 0.0)
    with torch.no_grad():
        memory.codes.copy_(torch.eye(3, 4))
        mixture, weights = memory(torch.tensor([[5.0, 0.0, 0.0, 0.0]]))
    expected = torch.softmax(torch.tensor([1.0, 0.0, 0.0]), 0)
    torch.testing.assert_close(weights[0], expected)
    torch.testing.assert_close(mixture[0], torch.cat([expected, torch.zeros(1)]))


def test_weights_below_the_threshold_take_no_part():
    memory = CodeMemory(3, 4, 0.25)
    with torch.no_grad():
        memory.codes.copy_(torch.eye(3, 4))
        _, weights = memory(torch.tensor([[5.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(weights[0], torch.tensor([1.0, 0.0, 0.0]))


def test_dissimilarity_of_constants_in_closed_form():
    one, less = torch.ones(1, 1, 15, 15), torch.full((1, 1, 15, 15), 0.8)
    expected = (1 - (2 * 0.8 + 1e-4) / (1 + 0.64 + 1e-4)) / 2
    value = dissimilarity(one.double(), less.double())[0, 0, 7, 7]
    assert float(value) == pytest.approx(expected, rel=1e-6)
    assert float(dissimilarity(one, one).abs().max()) < 1e-6
