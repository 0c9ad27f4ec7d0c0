"""A network that sees the clean image beside the state."""

import pytest
import torch

from diffad.denoise import NetworkDenoiser, bind
from diffad.models.beside import Beside
from diffad.registry import SAMPLERS
from tests.helpers.toys import linear_schedule, white_noise

BACKBONE = {"name": "unet2d", "channels": [8, 16], "layers": 1, "groups": 4, "attention": False}
SIDES = {"unet2d": (16, 12), "unet3d": (8, 6, 10), "adm": (16, 12)}
ADM = {"name": "adm", "base": 8, "mults": [1, 2], "layers": 1, "groups": 4, "middle": False}
BACKBONES = {"unet2d": BACKBONE, "unet3d": {**BACKBONE, "name": "unet3d"}, "adm": ADM}
LABELS = torch.tensor([0, 40, 700])


class Echo(torch.nn.Module):
    """Answers with what it is given."""

    multiple = 1

    def forward(self, x, labels):
        return x


@pytest.fixture
def build():
    def make(backbone=BACKBONE, **options):
        torch.manual_seed(0)
        return Beside(backbone, **options).eval()

    return make


@pytest.fixture
def echo(build):
    def make(**options):
        network = build(**options)
        network._modules["backbone"] = Echo()
        return network

    return make


@pytest.fixture
def x():
    return torch.randn(3, 1, 16, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def image():
    return torch.rand(3, 1, 16, 12, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def test_state_comes_first_and_the_image_second_in_the_range_of_the_state(echo, x, image):
    inputs = echo()(x, LABELS, image=image)
    assert torch.equal(inputs[:, :1], x)
    assert torch.equal(inputs[:, 1:], image * 2 - 1)


@torch.no_grad()
def test_all_channels_of_the_state_come_before_those_of_the_image(echo, x, image):
    x, image = torch.cat([x, x + 1], 1), torch.cat([image, 1 - image], 1)
    inputs = echo(in_channels=2)(x, LABELS, image=image)
    assert torch.equal(inputs, torch.cat([x, image * 2 - 1], 1))


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_takes_twice_the_channels_and_both_halves_matter(build, name):
    network = build(BACKBONES[name], in_channels=2, out_channels=2).train()
    x, image = torch.randn(2, 3, 2, *SIDES[name]).requires_grad_().unbind()
    assert network.backbone.config.in_channels == 4
    for weights in network.parameters():
        if not weights.any():  # some begin with an answer of zeros, which would hide everything
            torch.nn.init.normal_(weights, std=0.1)
    answer = network(x, LABELS, image=image)
    assert answer.shape == x.shape
    for gradient in torch.autograd.grad(answer.square().mean(), [x, image]):
        assert gradient.abs().max() > 0


@torch.no_grad()
def test_other_image_changes_the_answer_for_its_own_item_only(build, x, image):
    network, other = build(), image.clone()
    other[1] = 1 - other[1]
    first, second = (network(x, LABELS, **network.conditions(i, i > 0)) for i in (image, other))
    assert torch.equal(first[::2], second[::2])
    assert not torch.allclose(first[1], second[1])


@torch.no_grad()
def test_images_stay_with_their_scans_when_levels_are_stacked(build, x, image):
    denoiser, levels = NetworkDenoiser(build(), linear_schedule()), torch.tensor([250, 500])
    cond = denoiser.conditions(image, torch.ones_like(image))
    stack = bind(denoiser, cond)(torch.cat([x, x]), levels.repeat_interleave(3))
    for i, t in enumerate(levels):
        loop = denoiser(x, t, **cond)
        torch.testing.assert_close(stack[3 * i : 3 * i + 3], loop, rtol=0, atol=1e-5)


@torch.no_grad()
def test_sampler_runs_it_without_knowing_of_the_image(build, image, generators):
    denoiser = NetworkDenoiser(build(), linear_schedule())
    bound_denoiser = bind(denoiser, denoiser.conditions(image, torch.ones_like(image)))
    sampler = SAMPLERS.build("chain", level=1000, steps=3)
    result = sampler(image * 2 - 1, bound_denoiser, white_noise, generator=generators(1, 2, 3))
    assert result.image.shape == image.shape
    assert result.nfe == 3


def test_missing_image_raises_and_says_so(build, x):
    with pytest.raises(ValueError, match=r"expected an image \(3, 1, 16, 12\) beside the state, got none"):
        build()(x, LABELS)
    with pytest.raises(ValueError, match=r"with C = 2, got \(3, 1, 16, 12\)"):
        build().backbone(x, LABELS)


@pytest.mark.parametrize("shape", [(2, 1, 16, 12), (3, 2, 16, 12), (3, 1, 16, 11), (3, 1, 16)])
def test_image_of_another_shape_raises(build, x, shape):
    with pytest.raises(ValueError, match=r"expected an image \(3, 1, 16, 12\), got"):
        build()(x, LABELS, image=torch.zeros(shape))


def test_state_and_image_laid_together_already_raise(build, x, image):
    both = torch.cat([x, image], 1)
    with pytest.raises(ValueError, match=r"with C = 1, got \(3, 2, 16, 12\)"):
        build()(both, LABELS, image=both)


def test_dropped_images_are_zeros_as_often_as_asked(echo):
    network, image = echo(drop=0.3).train(), torch.ones(4000, 1, 2, 2)
    inputs = network(torch.full_like(image, 7), torch.zeros(4000), image=image)
    assert (inputs[:, 0] == 7).all()
    fraction = inputs[:, 1]
    assert set(fraction.unique().tolist()) == {0, 1}
    assert (fraction == fraction[:, :1, :1]).all()
    assert float(fraction.mean()) == pytest.approx(0.7, abs=0.03)


@torch.no_grad()
def test_dropped_image_is_the_same_as_an_image_of_one_half(echo, x):
    answer = echo(drop=1.0).train()(x, LABELS, image=torch.rand_like(x))
    assert torch.equal(answer, echo()(x, LABELS, image=torch.full_like(x, 0.5)))


def test_nothing_is_dropped_outside_of_training_and_no_randomness_is_used(echo, x, image):
    network, state = echo(drop=1.0), torch.random.get_rng_state()
    inputs = network(x, LABELS, image=image)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(inputs[:, 1:], image * 2 - 1)
    assert torch.equal(echo().train()(x, LABELS, image=image), inputs)


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan")])
def test_chance_outside_of_zero_to_one_raises(drop):
    with pytest.raises(ValueError, match=r"expected drop in \[0, 1\], got"):
        Beside(BACKBONE, drop=drop)


@pytest.mark.parametrize("backbone", [{"channels": [8]}, {}, "unet2d", None])
def test_backbone_without_a_name_raises(backbone):
    with pytest.raises(ValueError, match="expected a backbone with a name, got"):
        Beside(backbone)


@pytest.mark.parametrize("option", ["embedding", "in_channels", "out_channels"])
def test_backbone_may_not_name_what_is_ours_to_choose(option):
    with pytest.raises(ValueError, match=f"expected a backbone without .*, got {option}"):
        Beside({**BACKBONE, option: 3})


def test_multiple_is_that_of_the_backbone(build):
    network = build()
    assert network.multiple == network.backbone.multiple == 2
