"""What GANomaly's paper and published code state in numbers."""

import pytest
import torch

from diffad.config import load
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

SMALL = {"size": 16, "channels": [4, 8], "latent": 4}
# convolutions of width 4 without biases from 32 x 32 x 3, two normalisations, and the last one to 100 numbers
TRUNK = 16 * (3 * 64 + 64 * 128 + 128 * 256) + 2 * (128 + 256)
HEAD = 16 * 256 * 100


def make_example(x):
    brain = torch.ones_like(x[:, :1])
    return DetectorExample(x, x, brain, torch.zeros_like(brain), torch.zeros(len(x)), ())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DETECTORS.build("ganomaly", **SMALL).eval()


def test_sizes_are_those_of_the_published_layers():
    network = DETECTORS.build("ganomaly", in_channels=3)
    generator = network.generator
    for encoder in (generator.encoder, generator.second):
        assert sum(p.numel() for p in encoder.parameters()) == TRUNK + HEAD
    assert sum(p.numel() for p in network.discriminator.parameters()) == TRUNK + 16 * 256
    # the way back is normalised after each layer but the last: 256, 128, 64
    decoder = TRUNK + HEAD + 2 * 64
    assert sum(p.numel() for p in generator.decoder.parameters()) == decoder
    assert generator.encoder(torch.zeros(1, 3, 32, 32)).shape == (1, 100)


def test_published_weights_and_rates_are_the_defaults():
    config = DETECTORS.build("ganomaly", **SMALL).config
    assert (config.feature, config.context, config.code) == (1, 50, 1)
    default = DETECTORS.build("ganomaly").config
    assert (default.size, default.latent, tuple(default.channels)) == (32, 100, (64, 128, 256))
    train = load("ganomaly").train
    assert (train.batch_size, train.lr, train.betas) == (64, 2e-4, (0.5, 0.999))


def test_first_weights_are_drawn_as_published():
    network = DETECTORS.build("ganomaly")
    weight = network.generator.encoder.trunk[2].weight
    assert weight.std().item() == pytest.approx(0.02, rel=0.02)
    norm = network.generator.encoder.trunk[3]
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.01)
    assert not norm.bias.any()


def test_both_encoders_have_weights_of_their_own(network):
    """Some public copies share them, so that the code of a twin says nothing new."""
    ours = dict(network.generator.encoder.named_parameters())
    theirs = dict(network.generator.second.named_parameters())
    assert set(ours) == set(theirs)
    assert not any(torch.equal(ours[name], theirs[name]) for name in ours if ours[name].ndim > 1)


def test_generator_minimises_features_twin_and_code(network):
    """Features of the discriminator are compared, not its answers, as some public copies have it."""
    x = torch.rand(3, 1, 16, 16)
    signed = x * 2 - 1
    twin, code, second = network.generator(signed)
    features = network.discriminator.look(signed) - network.discriminator.look(twin)
    terms = (features.square(), 50 * (signed - twin).abs(), (code - second).square())
    expected = sum(term.flatten(1).mean(1) for term in terms)
    for turn in ("generator", None):
        torch.testing.assert_close(network(make_example(x), turn), expected)


def test_discriminator_minimises_cross_entropy_halved(network):
    x = torch.rand(3, 1, 16, 16)
    twin, _, _ = network.generator(x * 2 - 1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    real, fake = network.discriminator(x * 2 - 1), network.discriminator(twin)
    expected = entropy(real, torch.ones(3, 1), reduction="none") + entropy(
        fake, torch.zeros(3, 1), reduction="none"
    )
    torch.testing.assert_close(network(make_example(x), "discriminator"), expected[:, 0] / 2)


def test_generator_and_discriminator_take_turns(network):
    assert [network.choose_turn(k, 10) for k in range(4)] == ["generator", "discriminator"] * 2


def test_score_of_the_paper_is_the_distance_of_the_codes():
    torch.manual_seed(0)
    network, x = DETECTORS.build("ganomaly", **SMALL, map="codes").eval(), torch.rand(3, 1, 24, 20)
    _, code, second = network.generator(network._shrink(x))
    anomaly = network.detect(x, torch.ones_like(x)).map
    assert anomaly.shape == x.shape
    torch.testing.assert_close(anomaly, (code - second).abs().mean(1).reshape(3, 1, 1, 1).expand_as(x))


def test_map_is_the_residual(network):
    x = torch.rand(3, 1, 16, 16)
    detection = network.detect(x, torch.ones_like(x))
    torch.testing.assert_close(detection.map, (x - detection.image).abs())
