"""What SQUID's paper and published code state in numbers."""

import pytest
import torch
import torch.nn.functional as F

from diffad.detectors.inpaint import SHORTCUT, FeatureInpainter
from diffad.detectors.spatial_memory import MemoryQueue, join_cells, keep_nearest, mix_masked, split_cells
from diffad.registry import DETECTORS
from diffad.types import DetectorExample

SMALL = {"size": 32, "channels": [4, 8, 8, 16], "slots": 12, "keep": 3}


def make_example(x, seed=0):
    brain = torch.ones_like(x[:, :1])
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(x))]
    return DetectorExample(x, x, brain, torch.zeros_like(brain), torch.zeros(len(x)), generators)


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DETECTORS.build("squid", **SMALL)


@pytest.fixture(scope="module")
def published():
    return DETECTORS.build("squid")


def test_published_sizes(published):
    generator = published.generator
    assert count(generator) == 44_469_506
    assert count(published.discriminator) == 681_921
    assert count(generator.memories) == 4 * 200 * (256 * 16 + 128 * 64) == 9_830_400
    assert count(generator.teacher) == pytest.approx(3.88e6, rel=0.002)
    assert count(generator.inpainter) == pytest.approx(19.0e6, rel=0.005)


def test_queues_of_four_cells_hold_vectors_of_2048_and_learn_nothing(published):
    queues = published.generator.inpainter.queues
    assert [queue.vectors.shape for queue in queues] == [(200, 2048)] * 4
    assert not any(list(queue.parameters()) for queue in queues)


def test_published_weights_are_the_defaults(published):
    assert (published.config.slots, published.config.critic_steps, SHORTCUT) == (200, 2, 0.95)
    turns = [published.choose_turn(step, 9) for step in range(6)]
    assert turns == 2 * ["discriminator", "discriminator", "generator"]


@pytest.mark.parametrize("keep", [1, 4, 5])
def test_the_largest_weights_are_kept_with_a_sum_of_one(keep):
    logits = torch.randn(7, 200, generator=torch.Generator().manual_seed(0))
    weights = keep_nearest(logits, keep)
    assert (weights > 1e-7).sum(1).tolist() == [keep] * 7
    torch.testing.assert_close(weights.sum(1), torch.ones(7))


def test_four_are_what_the_published_code_keeps_of_five():
    logits = torch.randn(7, 200, generator=torch.Generator().manual_seed(0))
    weights = F.softmax(logits, 1)
    cut = weights.topk(5, 1).values[:, -1:]
    released = F.normalize(torch.where(weights > cut, weights, 0), p=1, dim=1)
    torch.testing.assert_close(keep_nearest(logits, 4), released)


def test_gradients_are_those_of_all_weights():
    logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value = torch.arange(18.0).reshape(2, 9)
    (ours,) = torch.autograd.grad((keep_nearest(logits, 2) * value).sum(), logits)
    (plain,) = torch.autograd.grad((F.softmax(logits, 1) * value).sum(), logits)
    torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("pushes", [1, 3, 4, 9])
def test_first_in_first_out(pushes):
    queue, slots, batch = MemoryQueue(10, 2, 3), 10, 3
    pushed = torch.arange(pushes * batch * 2.0).reshape(-1, 2) + 100
    for vectors in pushed.split(batch):
        queue.push(vectors)
    assert int(queue.pointer) == pushes * batch % slots
    kept = {tuple(row) for row in queue.vectors.tolist() if row[0] >= 100}
    assert kept == {tuple(row) for row in pushed[-slots:].tolist()}


def test_more_vectors_than_slots_leave_the_last():
    queue = MemoryQueue(4, 1, 2)
    queue.push(torch.arange(10.0)[:, None])
    assert sorted(queue.vectors.flatten().tolist()) == [6, 7, 8, 9]


def test_cells_are_put_together_as_they_were_cut():
    x = torch.arange(2 * 3 * 8 * 8.0).reshape(2, 3, 8, 8)
    cells = split_cells(x, 2)
    torch.testing.assert_close(cells[1], x[0, :, :4, 4:])
    torch.testing.assert_close(cells[4], x[1, :, :4, :4])
    assert torch.equal(join_cells(cells, 2), x)


def test_neighbours_are_those_of_the_same_image_without_the_cell_itself():
    """Published neighbourhoods are said to mix the images of a batch; ours hold one image each."""
    inpainter = FeatureInpainter(32, 1, 3, 12, 3)
    read = torch.arange(18.0).reshape(2, 9, 1).expand(-1, -1, 8)
    around = inpainter.list_neighbours(read)[..., 0]
    assert around[4].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert around[9 + 4].tolist() == [9, 10, 11, 12, 14, 15, 16, 17]
    assert around[0].tolist() == [0, 0, 0, 0, 1, 0, 3, 4]


def test_cells_are_numbered_in_binary(published):
    assert published.generator.inpainter.code.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]


def test_places_stay_as_they_are_with_a_chance_of_one_in_twenty():
    generators = [torch.Generator().manual_seed(i) for i in range(4)]
    new, old = torch.ones(8, 3, 30, 30), torch.zeros(8, 3, 30, 30)
    mixed = mix_masked(new, old, generators, SHORTCUT)
    assert mixed.mean().item() == pytest.approx(0.95, abs=0.01)
    assert torch.equal(mixed[:, 0], mixed[:, 2])
    assert torch.equal(mix_masked(new, old, None, SHORTCUT), new)


def test_loss_of_the_generator(network):
    network.eval()
    x = torch.rand(3, 1, 32, 32)
    made = network.generator(x)
    errors = [(image - x).square().flatten(1).mean(1) for image in (made.image, made.lesson)]
    game = F.softplus(-network.discriminator(made.image))[:, 0]
    expected = 10 * errors[0] + 0.01 * errors[1] + 0.001 * made.distance + 0.005 * game
    torch.testing.assert_close(network(make_example(x), "generator"), expected)


def test_teacher_moves_neither_encoder_nor_memory(network):
    x = torch.rand(3, 1, 32, 32)
    network.eval().generator(x).lesson.sum().backward()
    moved = {n.partition(".")[0] for n, p in network.generator.named_parameters() if p.grad is not None}
    assert moved == {"teacher"}


def test_queues_take_in_a_batch_in_the_turn_of_the_generator_alone(network):
    queue = network.train().generator.inpainter.queues[0]
    for turn, expected in (("discriminator", 0), (None, 0), ("generator", 3)):
        network(make_example(torch.rand(3, 1, 32, 32)), turn)
        assert int(queue.pointer) == expected
    network.eval()(make_example(torch.rand(3, 1, 32, 32)), "generator")
    assert int(queue.pointer) == 3


def test_score_compares_a_logit_with_those_of_the_training():
    torch.manual_seed(0)
    network = DETECTORS.build("squid", **SMALL, map="score").eval()
    network._note(torch.arange(250.0))
    kept = torch.arange(50.0, 250.0)
    x = torch.rand(2, 1, 40, 32)
    logit = network.discriminator(network.generator(network._shrink(x) / 2 + 0.5).image)
    expected = 1 - torch.sigmoid((logit - kept.mean()) / kept.std())
    anomaly = network.detect(x, torch.ones_like(x)).map
    assert anomaly.shape == x.shape
    torch.testing.assert_close(anomaly, expected.reshape(2, 1, 1, 1).expand_as(x))
