"""What the paper of fading shortcuts states in numbers, and both sides of its game in one pass."""

import dataclasses

import pytest
import torch

from diffad.detectors.adversary import PatchDiscriminator, fooling_loss, judging_loss
from diffad.detectors.gated_unet import GatedUNet
from diffad.detectors.hog import ORIENTATIONS, count_orientations, draw_hog, draw_lines
from diffad.registry import DETECTORS
from diffad.types import DetectorExample


@pytest.fixture
def network():
    torch.manual_seed(0)
    return GatedUNet(1, 2, 4)


def make_example(count=2, side=32):
    x = torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0))
    brain = torch.ones_like(x)
    generators = [torch.Generator().manual_seed(i) for i in range(count)]
    return DetectorExample(x, x, brain, 0 * brain, torch.zeros(count), generators)


def test_published_counts_of_weights_and_patches():
    with torch.device("meta"):
        detector = DETECTORS.build("gating_ano")
        patches = detector.discriminator(torch.zeros(1, 1, 256, 256))
    assert sum(p.numel() for p in detector.network.parameters()) == 17_261_890
    assert sum(p.numel() for p in detector.discriminator.parameters()) == 2_761_728
    assert patches.shape == (1, 1, 30, 30)


@pytest.mark.parametrize(
    ("epochs", "gates"),
    [
        (0, [1, 1, 1, 1]),
        (10, [0.5, 0.6, 0.7, 0.8]),
        (20, [0, 0.2, 0.4, 0.6]),
        (25, [0, 0, 0.25, 0.5]),
        (49, [0, 0, 0, 0.02]),
        (50, [0, 0, 0, 0]),
        (99, [0, 0, 0, 0]),
    ],
)
def test_gates_close_after_20_25_34_and_50_epochs(epochs, gates):
    detector = DETECTORS.build("gating_ano", base=2, epoch=7)
    detector.seen += 7 * epochs
    assert detector.gates == pytest.approx(gates, abs=1e-9)


def test_open_gates_let_no_gradient_into_the_bottleneck(network):
    features = [f.detach().requires_grad_() for f in network.encode(torch.rand(2, 1, 32, 32))]
    network.decode(features, [1.0] * 4).square().sum().backward()
    assert not features[-1].grad.any()
    assert features[0].grad.any()


def test_shut_gates_let_no_shortcut_through(network):
    features = network.eval().encode(torch.rand(2, 1, 32, 32))
    others = [torch.randn_like(f) for f in features[:-1]]
    shut, mixed = network.decode(features, [0.0] * 4), network.decode([*others, features[-1]], [0.0] * 4)
    assert torch.equal(shut, mixed)
    assert not torch.equal(network.decode(features, [0.1] * 4), shut)


def test_each_batch_in_training_counts_and_none_in_use():
    detector, example = DETECTORS.build("gating_ano", base=2), make_example()
    detector.train()(example)
    detector.train()(example)
    detector.eval()(example)
    detector.detect(example.seen, example.brain)
    assert detector.seen == 2


def test_sides_of_the_game_reach_their_own_weights_alone():
    torch.manual_seed(0)
    judge, fake = PatchDiscriminator(2).eval(), torch.rand(2, 1, 32, 32, requires_grad=True)
    fooling_loss(judge, fake).mean().backward()
    assert fake.grad.any()
    assert all(p.grad is None for p in judge.parameters())
    fake.grad = None
    judging_loss(judge, torch.rand(2, 1, 32, 32), fake).mean().backward()
    assert fake.grad is None
    assert all(p.grad.any() for p in judge.parameters())


def test_one_step_is_that_of_two_optimisers_from_the_weights_of_before():
    example, parts = make_example(), ("network", "discriminator")
    torch.manual_seed(0)
    detector = DETECTORS.build("gating_ano", base=2).eval()
    twin = DETECTORS.build("gating_ano", base=2).eval()
    twin.load_state_dict(detector.state_dict())
    joint = torch.optim.AdamW(detector.parameters(), 1e-3)
    detector(example).mean().backward()
    joint.step()
    alone = [torch.optim.AdamW(getattr(twin, part).parameters(), 1e-3) for part in parts]
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    twin(dataclasses.replace(example, generators=generators)).mean().backward()
    for optimizer in alone:
        optimizer.step()
    for a, b in zip(detector.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


def test_judge_that_knows_nothing_has_the_loss_of_a_coin():
    judge = PatchDiscriminator(2).eval()
    x = torch.zeros(2, 1, 32, 32)
    log2 = torch.full((2,), 0.6931472)
    torch.testing.assert_close(fooling_loss(judge, x), log2)
    torch.testing.assert_close(judging_loss(judge, x, x), log2)


def test_ramp_has_one_orientation():
    """A rise of .02 a pixel along the rows: 90 degrees, the fifth of nine bins."""
    x = (torch.arange(16.0) * 0.01)[None, None, :, None].expand(1, 1, 16, 16)
    counts = count_orientations(x, 8)
    assert counts.shape == (1, ORIENTATIONS, 2, 2)
    torch.testing.assert_close(counts[0, 4], torch.full((2, 2), 0.02 * 7 / 8))
    assert not counts[0, [0, 1, 2, 3, 5, 6, 7, 8]].any()


def test_lines_run_along_the_edge():
    lines = draw_lines(8)
    rows, columns = torch.nonzero(lines[4], as_tuple=True)
    assert set(rows.tolist()) == {4}
    assert columns.tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("sides", [(32, 32), (30, 27)])
def test_drawing_has_the_size_of_the_scan_and_its_highest_value_is_one(sides):
    x = torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(0))
    for cell in (4, 8, 16):
        drawing = draw_hog(x, cell)
        assert drawing.shape == x.shape
        assert drawing.min() >= 0
        torch.testing.assert_close(drawing.amax((2, 3)), torch.ones(2, 3))
    assert not draw_hog(torch.full((1, 1, *sides), 0.5), 8).any()


def test_too_short_sides_and_options_are_refused():
    detector, x = DETECTORS.build("gating_ano", base=2), torch.rand(1, 1, 23, 40)
    with pytest.raises(ValueError, match=r"sides of at least 24 pixels, got \(23, 40\)"):
        detector.detect(x, x)
    with pytest.raises(ValueError, match="four rates of closing above 0, got"):
        DETECTORS.build("gating_ano", closing=[0.1])
    with pytest.raises(ValueError, match="slices alone: expected dims of 2, got 3"):
        DETECTORS.build("gating_ano", dims=3)
    with pytest.raises(ValueError, match="cells of at least 4, got"):
        DETECTORS.build("gating_ano", cells=[2])
