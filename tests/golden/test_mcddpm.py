"""Published facts about MCDDPM (Trivedi et al., 2024): sizes, boxes, losses, and the noise it gives away."""

import pytest
import torch
from diffusers import DDPMScheduler

from diffad.config import load
from diffad.denoise import NetworkDenoiser
from diffad.models.bridge import Bridge
from diffad.models.context import ContextStage
from diffad.registry import MODELS, SCORES
from diffad.samplers.boxes import list_boxes, mark_boxes
from diffad.samplers.patched import Patched
from diffad.schedule import Schedule
from diffad.training.loss import denoising_loss
from diffad.types import Reconstruction
from tests.helpers.toys import white_noise

SMALL = {
    "widths": [4, 8],
    "groups": 4,
    "backbone": {"name": "adm", "base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "context": True},
}
PUBLISHED = Schedule.from_diffusers(DDPMScheduler(beta_schedule="squaredcos_cap_v2"))


def size(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def slices(number=2, side=32):
    return torch.rand(number, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def seeded(number=2):
    return [torch.Generator().manual_seed(s) for s in range(number)]


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = Bridge(**SMALL).eval()
    torch.nn.init.normal_(network.backbone.out.weight, std=0.1)
    return network


def test_network_has_the_published_sizes():
    with torch.device("meta"):
        network = MODELS.build(**load("mcddpm", ["variant=paper"]).model)
        one_channel = MODELS.build("adm", head_channels=64, context=True)
    unet = network.backbone
    assert unet.stem.weight.shape[1] == 257
    assert size(network.encoder) == 1_068_928
    assert size(network.decoder) == 477_328
    assert size(unet) == 38_992_257
    assert size(unet.time, unet.stem, unet.down) == 12_177_664
    assert size(unet.bottom) == 4_334_848
    assert size(network) == 40_538_513
    assert size(one_channel) == 38_697_345


def test_context_of_128_pixels_has_1024_positions():
    with torch.device("meta"):
        unet = MODELS.build("adm", in_channels=257, head_channels=64, context=True)
        skips = unet._run_down(torch.zeros(1, 257, 128, 128), torch.zeros(1, 512))
    assert skips[-1].shape == (1, 256, 32, 32)


def test_answer_is_0_at_first_and_knows_nothing_of_the_context():
    torch.manual_seed(0)
    network = Bridge(**SMALL).eval()
    x, labels = slices(), torch.tensor([3, 499])
    assert not network(x, labels).any()
    stage = network.backbone.bottom
    assert isinstance(stage, ContextStage)
    h, emb = torch.randn(2, 16, 4, 4), torch.randn(2, 32)
    assert torch.equal(stage(h, emb, torch.randn(2, 16, 4, 4)), stage(h, emb, torch.randn(2, 16, 4, 4)))
    torch.nn.init.normal_(stage.transformer.leave.weight)
    assert not torch.equal(stage(h, emb, torch.randn(2, 16, 4, 4)), stage(h, emb, torch.randn(2, 16, 4, 4)))


def test_context_is_seen_at_label_1():
    torch.manual_seed(0)
    unet = MODELS.build(**SMALL["backbone"]).eval()
    calls = []
    unet.run_core = lambda x, emb, early: calls.append((emb, early)) or x
    unet(slices(), torch.tensor([1, 700]))
    emb, early = calls[0]
    assert torch.equal(emb[0], early[0])
    assert torch.equal(early[0], early[1])
    assert not torch.equal(emb[1], early[1])


def test_four_boxes_of_64_cover_128_row_by_row_once():
    boxes = list_boxes((128, 128), (64, 64))
    corners = [(x.start, y.start, x.stop, y.stop) for y, x in boxes]
    assert corners == [(0, 0, 64, 64), (64, 0, 128, 64), (0, 64, 64, 128), (64, 64, 128, 128)]
    assert (mark_boxes(boxes, (128, 128)).sum((0, 1)) == 1).all()


class Watched:
    """A network that remembers what it was shown."""

    takes_whole = True

    def __init__(self):
        self.states, self.wholes = [], []

    def __call__(self, x_t, labels, whole):
        self.states.append(x_t)
        self.wholes.append(whole)
        return torch.zeros_like(x_t)


def watch(whole_noise, x, at_once=None):
    network = Watched()
    sampler = Patched(16, inner={"name": "oneshot", "levels": 500}, whole_noise=whole_noise, at_once=at_once)
    sampler(x, NetworkDenoiser(network, PUBLISHED, "sample"), white_noise, generator=seeded(len(x)))
    return torch.cat(network.states), torch.cat(network.wholes)


@pytest.mark.parametrize("whole_noise", ["shared", "own"])
def test_features_do_not_depend_on_the_box(whole_noise, network):
    x = slices()
    _, wholes = watch(whole_noise, x)
    of_boxes = wholes.reshape(4, 2, *x.shape[1:])
    assert all(torch.equal(whole, of_boxes[0]) for whole in of_boxes)
    four_times, once = network.encoder(wholes), network.encoder(of_boxes[0])
    torch.testing.assert_close(
        four_times.reshape(4, *once.shape), once.expand(4, *once.shape), rtol=0, atol=1e-6
    )
    assert torch.equal(watch(whole_noise, x, at_once=1)[1], wholes)


def test_noise_can_be_read_where_it_is_shared_and_not_where_it_is_not():
    """(x_t - a x) / s outside the box, and the same within, is the noise of the box."""
    x = slices()
    a, s = PUBLISHED.amplitudes(torch.tensor(500), x)
    assert (float(a), float(s)) == (pytest.approx(0.702740, abs=1e-6), pytest.approx(0.711447, abs=1e-6))
    boxes = mark_boxes(list_boxes((32, 32), (16, 16)), (32, 32)).repeat_interleave(2, dim=0)
    clean = x.repeat(4, 1, 1, 1)
    found = {}
    for whole_noise in ("shared", "own"):
        states, wholes = watch(whole_noise, x)
        assert torch.equal(states[~boxes], clean[~boxes])
        in_box = ((states - a * clean) / s)[boxes]
        in_whole = ((wholes - a * clean) / s)[boxes]
        found[whole_noise] = torch.corrcoef(torch.stack([in_box, in_whole]))[0, 1]
    assert found["shared"] == pytest.approx(1, abs=1e-4)
    assert abs(found["own"]) < 0.1


def test_noise_of_the_box_is_that_of_pddpm_with_noise_shared():
    states, wholes = watch("shared", slices())
    plain = []

    def record(x_t, labels):
        plain.append(x_t)
        return torch.zeros_like(x_t)

    sampler = Patched(16, inner={"name": "oneshot", "levels": 500})
    sampler(slices(), NetworkDenoiser(record, PUBLISHED, "sample"), white_noise, generator=seeded())
    assert torch.equal(torch.cat(plain), states)
    assert not torch.equal(states, wholes)


def make_example(x, whole_noise="shared"):
    t = torch.full((len(x),), 500)
    mask = torch.ones_like(x)
    sampler = Patched(16, whole_noise=whole_noise)
    return sampler.example(x, mask, t, white_noise, PUBLISHED, seeded(len(x))), t


class Answering:
    """Answers the right image, and another one beside it."""

    def __init__(self, image, second):
        self.image, self.second = image.requires_grad_(), second

    def __call__(self, x_t, labels):
        return torch.cat([self.image, self.second], 1)


def test_loss_of_a_perfect_network_is_half_the_error_of_the_features():
    """Published: the mean over the slice, of which the box is a quarter, and .5 of the other error."""
    x = slices()
    example, t = make_example(x)
    second = x + 0.3 * slices().flip(-1)
    perfect = denoising_loss(Answering(x.clone(), second), example, t, PUBLISHED, "sample", rebuild=2.0)
    torch.testing.assert_close(perfect * 16**2 / 32**2, 0.5 * (second - x).square().mean((1, 2, 3)))
    nothing = denoising_loss(Answering(x.clone(), x), example, t, PUBLISHED, "sample", rebuild=2.0)
    assert not nothing.any()


def test_gradient_of_the_answer_is_0_outside_the_box():
    x = slices()
    example, t = make_example(x)
    network = Answering(x + 0.1, x)
    denoising_loss(network, example, t, PUBLISHED, "sample", rebuild=2.0).sum().backward()
    assert not network.image.grad[~example.region].any()
    assert network.image.grad[example.region].all()


def test_training_shows_the_whole_slice_as_it_is_shown_in_use():
    x = slices()
    a, s = PUBLISHED.amplitudes(torch.tensor(500), x)
    shared, _ = make_example(x)
    torch.testing.assert_close(shared.whole, a * x + s * shared.z)
    own, _ = make_example(x, "own")
    assert torch.equal(own.x_t, shared.x_t)
    second = (own.whole - a * x) / s
    assert abs(torch.corrcoef(torch.stack([second.flatten(), own.z.flatten()]))[0, 1]) < 0.1
    assert second.std() == pytest.approx(1, abs=0.05)


def test_grid_and_erosion_are_the_published_ones():
    paper = load("mcddpm", ["variant=paper"])
    assert paper.space.fov / 1.5 == paper.space.size == 128
    assert round(100 / 1.5) == 67
    assert paper.postprocess.erosion == paper.space.size // 25 == 5
    assert paper.sampler["box"] == 64
    assert "rebuild" not in paper.model
    assert Bridge(**SMALL).rebuild_weight == 0.5 / (64**2 / 128**2)


def test_scores_of_twin_scaled_by_itself_forget_gain_and_offset():
    """The published map scales scan and twin to [0, 1] each, which hides gain and offset; ours does not."""
    x = slices() / 2 + 0.5
    twin = (x + 0.1 * slices().flip(-1)).clamp(0.05, 0.95)

    def scale(image):
        low, high = image.min(), image.max()
        return (image - low) / (high - low)

    published = [(scale(x) - scale(y)).abs() for y in (twin, 0.5 * twin + 0.2)]
    torch.testing.assert_close(*published)
    score = SCORES.build("l1")
    ours = [score(x, Reconstruction(y, nfe=1)) for y in (twin, 0.5 * twin + 0.2)]
    assert (ours[0] - ours[1]).abs().max() > 0.05
