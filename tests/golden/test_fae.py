"""What the paper of the feature autoencoder states in numbers, and what follows in closed form."""

import pytest
import torch

from diffad.config import load
from diffad.detectors.backbone_networks import ARCHITECTURES
from diffad.detectors.fae import FeatureAutoencoder
from diffad.detectors.structure import equalise, make_window, measure_similarity
from diffad.registry import DETECTORS


@pytest.fixture(scope="module")
def published():
    return FeatureAutoencoder(256, [100, 150, 200, 300], 0.1).eval()


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_published_counts_of_weights(published):
    assert count(published.encoder) == 5_516_500
    assert count(published.decoder) == 4_768_548
    assert count(published) == 10_285_048


def test_published_shapes_of_code_and_answer(published):
    features = torch.rand(1, 256, 32, 32)
    assert published.encoder(features).shape == (1, 300, 2, 2)
    assert published(features).shape == (1, 256, 32, 32)


def test_published_stages_have_256_features_at_strides_4_4_and_8():
    plan = ARCHITECTURES["resnet18"]
    assert plan.channels[:3] == (64, 64, 128)
    assert plan.strides[:3] == (4, 4, 8)


def test_published_training():
    config = load("fae", ["variant=paper"])
    assert (config.train.steps, config.train.batch_size) == (10_000, 32)
    assert (config.train.lr, config.train.min_lr) == (2e-4, 2e-4)
    assert (config.train.weight_decay, config.train.warmup, config.train.ema_decay) == (0.0, 0, 0.0)
    assert config.model["channels"] == [100, 150, 200, 300]
    assert config.model["stages"] == [0, 1, 2]
    assert config.space.size == 128


def test_what_is_alike_is_not_odd():
    x = torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(measure_similarity(x, x), torch.ones_like(x))


def test_perfect_features_give_a_map_of_zero():
    torch.manual_seed(0)
    detector = DETECTORS.build("fae", size=32, weights="random", channels=[4, 4]).eval()
    detector.autoencoder = torch.nn.Identity()
    x = torch.rand(1, 1, 32, 32)
    assert float(detector.detect(x, torch.ones_like(x)).map.abs().max()) < 1e-4


def test_similarity_of_constants():
    """In closed form (2 * .8 + 1e-4) / (1 + .64 + 1e-4) = .975611, and less of rounding in float32."""
    one, less = torch.ones(1, 1, 9, 9), torch.full((1, 1, 9, 9), 0.8)
    exact = measure_similarity(one.double(), less.double())[0, 0, 4, 4]
    assert float(exact) == pytest.approx(0.975611, abs=1e-6)
    assert float(measure_similarity(one, less)[0, 0, 4, 4]) == pytest.approx(0.975418, abs=3e-4)


def test_published_window():
    expected = torch.tensor([0.12008, 0.23388, 0.29208, 0.23388, 0.12008])
    torch.testing.assert_close(make_window(5).float(), expected, rtol=0, atol=1e-5)


def test_similarity_is_symmetric():
    x, y = torch.randn(2, 1, 3, 12, 12).unbind()
    torch.testing.assert_close(measure_similarity(x, y), measure_similarity(y, x))


def test_scale_matters_by_the_constants_alone():
    """Mean similarity of s u and s (u + .2 n) for four scales s, of uniform u on 32 x 32 cells."""
    generator = torch.Generator().manual_seed(0)
    u, n = (torch.rand(1, 64, 32, 32, generator=generator), torch.randn(1, 64, 32, 32, generator=generator))
    values = [float(measure_similarity(s * u, s * (u + 0.2 * n)).mean()) for s in (0.01, 0.1, 1.0, 10.0)]
    assert values == pytest.approx([0.995, 0.873, 0.817, 0.817], abs=0.006)


def test_a_scan_without_a_brain_has_a_finite_map():
    torch.manual_seed(0)
    detector = DETECTORS.build("fae", size=32, weights="random", channels=[4, 4]).eval()
    x = torch.zeros(1, 1, 32, 32)
    assert detector.detect(x, x).map.isfinite().all()


def test_ranks_are_uniform_and_know_no_monotone_change():
    generator = torch.Generator().manual_seed(0)
    x, mask = torch.rand(2, 1, 40, 40, generator=generator) ** 3, torch.ones(2, 1, 40, 40)
    mask[..., :10] = 0
    ranks = equalise(x, mask)
    for item, inside in zip(ranks, mask > 0, strict=True):
        values = item[inside].sort().values
        expected = torch.arange(1, len(values) + 1) / len(values)
        assert float((values - expected).abs().max()) < 1e-6  # published: to 1 / 256
    assert not ranks[mask == 0].any()
    torch.testing.assert_close(equalise(x.sqrt() * 0.7 + 0.1, mask), ranks)
