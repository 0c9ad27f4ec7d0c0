"""What CycleGAN as a detector of anomalies states in numbers."""

import dataclasses

import pytest
import torch
from torch import nn

from diffad.detectors.replay import Replay
from diffad.detectors.translate import PatchDiscriminator, TranslatingGenerator
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

SMALL = {"size": 32, "width": 4, "blocks": 1, "replay": 2}


def make_example(x, labels, seed=0):
    brain = torch.ones_like(x[:, :1])
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(x))]
    return DetectorExample(x, x, brain, torch.zeros_like(brain), torch.tensor(labels), generators)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DETECTORS.build("cyclegan_ad", **SMALL)


@pytest.mark.parametrize(
    ("channels", "blocks", "expected"), [(1, 9, 11_365_633), (1, 6, 7_825_153), (3, 9, 11_378_179)]
)
def test_published_sizes_of_generators(channels, blocks, expected):
    assert count(TranslatingGenerator(channels, 64, blocks)) == expected


@pytest.mark.parametrize(("channels", "expected"), [(1, 2_762_689), (3, 2_764_737)])
def test_published_sizes_of_discriminators(channels, expected):
    assert count(PatchDiscriminator(channels, 64)) == expected


def test_discriminator_answers_30_x_30_for_256_x_256_and_sees_70_pixels():
    discriminator = PatchDiscriminator(1, 4)
    assert discriminator(torch.zeros(1, 1, 256, 256)).shape == (1, 1, 30, 30)
    reach = 1
    for layer in reversed([part for part in discriminator.layers if isinstance(part, nn.Conv2d)]):
        reach = (reach - 1) * layer.stride[0] + layer.kernel_size[0]
    assert reach == 70


def test_nine_blocks_from_128_pixels_on_and_six_below():
    blocks = {}
    for size in (64, 128):
        network = DETECTORS.build("cyclegan_ad", size=size, width=2, replay=0)
        blocks[size] = sum(
            type(part).__name__ == "TranslatingBlock" for part in network.generators[0].modules()
        )
    assert blocks == {64: 6, 128: 9}


def test_published_weights_are_the_defaults(network):
    config = DETECTORS.build("cyclegan_ad", width=2).config
    assert (config.cycle, config.identity, config.replay) == (10, 5, 50)
    first = DETECTORS.build("cyclegan_ad", width=16, blocks=1).generators[0].layers[3].weight
    assert first.std().item() == pytest.approx(0.02, rel=0.05)


def test_generators_that_change_nothing_cost_nothing_and_find_nothing(network):
    network.generators = nn.ModuleList([nn.Identity(), nn.Identity()])
    x = torch.rand(4, 1, 32, 32)
    assert not network(make_example(x, [0, 1, 0, 1])).any()
    detection = network.detect(x, torch.ones_like(x))
    assert not detection.map.any()
    torch.testing.assert_close(detection.image, x)


def test_loss_of_a_healthy_and_of_a_diseased_scan(network):
    """(D(G(x)) - 1)^2 + 10 |G'(G(x)) - x| + 5 |G'(x) - x|, each by its own label."""
    network.eval()
    x = torch.rand(2, 1, 32, 32)
    loss = network(make_example(x, [0, 1]), "generators")
    for i, kind in enumerate((0, 1)):
        item = x[i : i + 1] * 2 - 1
        fake = network.generators[1 - kind](item)
        game = (network.discriminators[1 - kind](fake) - 1).square().mean()
        cycle = (network.generators[kind](fake) - item).abs().mean()
        identity = (network.generators[kind](item) - item).abs().mean()
        torch.testing.assert_close(loss[i], game + 10 * cycle + 5 * identity)


def test_loss_of_discriminators_is_halved(network):
    network.eval()
    x = torch.rand(1, 1, 32, 32)
    loss = network(make_example(x, [1]), "discriminators")
    real = network.discriminators[1](x * 2 - 1)
    fake = network.discriminators[0](network.generators[0](x * 2 - 1))
    torch.testing.assert_close(loss[0], ((real - 1).square().mean() + fake.square().mean()) / 2)


def test_image_score_is_the_sum_of_the_map_in_the_published_range(network):
    network.eval()
    x = torch.rand(3, 1, 32, 32)
    twin = network.generators[0](x * 2 - 1)
    squares = (x * 2 - 1 - twin).square().flatten(1).sum(1)
    torch.testing.assert_close(network.detect(x, torch.ones_like(x)).map.flatten(1).sum(1), squares)


def test_synthetic_anomalies_are_diseases_and_the_rest_is_healthy(network):
    clean, seen = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    damage = torch.zeros(2, 1, 32, 32)
    damage[1, 0, 5, 5] = 1
    example = dataclasses.replace(make_example(clean, [-1, -1]), seen=seen, damage=damage)
    x, label = network._sort(example)
    assert label.tolist() == [0, 1]
    torch.testing.assert_close(x, torch.stack([clean[0], seen[1]]) * 2 - 1)


def test_replay_keeps_the_first_images_and_then_swaps_half_of_them():
    replay, new = Replay(2, 50, (1, 1, 1)), torch.arange(450.0).reshape(450, 1, 1, 1) + 1
    generators = [torch.Generator().manual_seed(i) for i in range(450)]
    shown = replay.exchange(new, 1, generators)
    assert torch.equal(shown[:50], new[:50])
    share = (shown[50:] != new[50:]).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.08)
    assert replay.count.tolist() == [0, 50]
    assert len(set(replay.images[1].flatten().tolist())) == 50


def test_no_folder_holds_images_of_the_training(network, tmp_path):
    network.train()(make_example(torch.rand(4, 1, 32, 32), [0, 1, 0, 1]), "discriminators")
    kept = network.history.images.clone()
    assert kept.any()
    network.save_pretrained(tmp_path)
    assert torch.equal(network.history.images, kept)
    assert not type(network).from_pretrained(tmp_path).history.images.any()


def test_validation_is_what_comes_back_and_what_stays(network):
    network.eval()
    x = torch.rand(2, 1, 32, 32)
    loss = network(make_example(x, [0, 1]))
    for i, kind in enumerate((0, 1)):
        item = x[i : i + 1] * 2 - 1
        back, same = network.generators[kind], network.generators[kind](item)
        cycle = (back(network.generators[1 - kind](item)) - item).abs().mean()
        torch.testing.assert_close(loss[i], 10 * cycle + 5 * (same - item).abs().mean())
