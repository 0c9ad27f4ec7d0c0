"""What f-AnoGAN's paper and published code state in numbers."""

import itertools
import math

import pytest
import torch

from diffad.config import load
from diffad.detectors.adversarial import GAN_LOSSES, gradient_penalty
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

SMALL = {"size": 16, "channels": [4, 8], "latent": 4}


def make_example(x):
    brain = torch.ones_like(x[:, :1])
    generators = [torch.Generator().manual_seed(i) for i in range(len(x))]
    return DetectorExample(x, x, brain, torch.zeros_like(brain), torch.zeros(len(x)), generators)


def count_halving(a, b):
    """Two normalisations, a convolution without and one with biases, and a short cut of width 1."""
    return 2 * a + 9 * a * a + 2 * a + 9 * a * b + b + a * b + b


def count_doubling(a, b):
    return 2 * a + 9 * a * b + 2 * b + 9 * b * b + b + a * b + b


def test_sizes_are_those_of_the_published_layers():
    """64 x 64 x 1, 64 channels, 4 stages to 512 x 4 x 4, codes of 128."""
    network = DETECTORS.build("fanogan")
    widths = (64, 128, 256, 512, 512)
    trunk = 9 * 64 + 64 + sum(count_halving(a, b) for a, b in itertools.pairwise(widths))
    ends = {"critic": 8192 + 1, "encoder": 8192 * 128 + 128}
    for name, end in ends.items():
        assert sum(p.numel() for p in getattr(network, name).parameters()) == trunk + end
    made = 128 * 8192 + 8192 + sum(count_doubling(a, b) for a, b in itertools.pairwise(widths[::-1]))
    made += 2 * 64 + 9 * 64 + 1
    assert sum(p.numel() for p in network.generator.parameters()) == made
    assert network.critic.look(torch.zeros(1, 1, 64, 64)).shape == (1, 512, 4, 4)


def test_published_weights_are_the_defaults():
    config = DETECTORS.build("fanogan", **SMALL).config
    assert (config.penalty, config.kappa, config.critic_steps) == (10, 1, 5)
    train = load("fanogan", ["variant=paper"]).train
    assert (train.batch_size, train.lr, train.betas) == (64, 1e-4, (0.0, 0.9))


def test_five_steps_of_the_critic_for_one_of_the_generator_then_50000_of_the_encoder():
    config = load("fanogan", ["variant=paper"])
    network = DETECTORS.build(**{**config.model, **SMALL})
    turns = [network.choose_turn(step, config.train.steps) for step in range(config.train.steps)]
    assert turns[:12] == 2 * [*["critic"] * 5, "generator"]
    assert turns.count("encoder") == 50_000
    assert set(turns[-50_000:]) == {"encoder"}


def test_critic_is_normalised_item_by_item():
    """Its slope is then that of one image; over a batch the penalty would be none of an image."""
    critic = DETECTORS.build("fanogan", **SMALL).critic.train()
    x = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(critic(x)[:1], critic(x[:1]))


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 3.0])
def test_penalty_of_a_plane_in_closed_form(slope):
    weight = torch.full((2, 8, 8), slope / math.sqrt(128))
    x = torch.rand(4, 2, 8, 8)
    generators = [torch.Generator().manual_seed(i) for i in range(4)]
    penalty = gradient_penalty(lambda v: (v * weight).sum((1, 2, 3)), x, torch.zeros_like(x), generators)
    torch.testing.assert_close(penalty, torch.full((4,), (slope - 1) ** 2))


def test_penalty_is_taken_between_the_images():
    """The slope of u^2 / 2 is u, which between an image of ones and one of zeros is 1 less the share."""
    real, fake = torch.ones(5, 1, 1, 1), torch.zeros(5, 1, 1, 1)
    generators = [torch.Generator().manual_seed(i) for i in range(5)]
    shares = torch.stack([torch.rand((), generator=torch.Generator().manual_seed(i)) for i in range(5)])
    penalty = gradient_penalty(lambda v: v.square().flatten(1).sum(1) / 2, real, fake, generators)
    torch.testing.assert_close(penalty, shares.square())


def test_games_in_closed_form():
    real, fake = torch.tensor([[2.0]]), torch.tensor([[0.5]])
    expected = {
        "wasserstein": (-1.5, -0.5),
        "least_squares": (0.5 + 0.125, 0.25),
        "hinge": (1.5, -0.5),
        "cross_entropy": (math.log1p(math.exp(-2)) + math.log1p(math.exp(0.5)), math.log1p(math.exp(-0.5))),
    }
    assert set(expected) == set(GAN_LOSSES)
    for name, (judged, fooled) in expected.items():
        loss = GAN_LOSSES[name]
        assert float(loss.judge(real, fake)) == pytest.approx(judged)
        assert float(loss.deceive(fake)) == pytest.approx(fooled)


def test_loss_of_the_encoder_is_that_of_image_and_features():
    torch.manual_seed(0)
    network, x = DETECTORS.build("fanogan", **SMALL, kappa=0.7).eval(), torch.rand(3, 1, 16, 16)
    signed = x * 2 - 1
    twin = network.generator(network.encoder(signed))
    features = network.critic.look(signed) - network.critic.look(twin)
    expected = (signed - twin).square().flatten(1).mean(1) + 0.7 * features.square().flatten(1).mean(1)
    for turn in ("encoder", None):
        torch.testing.assert_close(network(make_example(x), turn), expected)


def test_score_of_an_image_is_the_mean_of_the_map_of_that_name():
    torch.manual_seed(0)
    x = torch.rand(3, 1, 16, 16)
    network = DETECTORS.build("fanogan", **SMALL, map="score").eval()
    score = network(make_example(x))
    torch.testing.assert_close(network.detect(x, torch.ones_like(x)).map.flatten(1).mean(1), score)


def test_map_of_the_paper_is_the_absolute_residual():
    torch.manual_seed(0)
    x = torch.rand(3, 1, 16, 16)
    detection = DETECTORS.build("fanogan", **SMALL).eval().detect(x, torch.ones_like(x))
    torch.testing.assert_close(detection.map, (x - detection.image).abs())


def test_generator_stays_as_it_was_while_the_encoder_learns():
    network = DETECTORS.build("fanogan", **SMALL).train()
    before = {name: value.clone() for name, value in network.generator.state_dict().items()}
    network(make_example(torch.rand(3, 1, 16, 16)), "encoder")
    after = network.generator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert network.generator.training
