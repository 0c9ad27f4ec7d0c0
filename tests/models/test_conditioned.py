"""A network that is told of the clean image by one vector."""

import pytest
import torch

from diffad.denoise import NetworkDenoiser, bind
from diffad.models.conditioned import Conditioned
from diffad.registry import MODELS, SAMPLERS
from tests.helpers.toys import linear_schedule, white_noise

OPTIONS = {
    "backbone": {"name": "unet2d", "channels": [8, 16], "layers": 1, "groups": 4, "attention": False},
    "encoder": {"depth": 10, "width": 6, "planes": 8},
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Conditioned(**OPTIONS).eval()


@pytest.fixture
def x():
    return torch.rand(3, 1, 16, 12, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 40, 700])


@torch.no_grad()
def test_image_and_its_embedding_give_the_same_answer(network, x):
    cond = network.conditions(x, torch.ones_like(x))
    assert {name: value.shape for name, value in cond.items()} == {"embedding": (3, 6)}
    assert torch.equal(network(x, LABELS, image=x), network(x, LABELS, **cond))


@torch.no_grad()
def test_other_image_gives_another_answer(network, x):
    answers = [network(x, LABELS, image=image) for image in (x, x.flip(0))]
    assert not torch.allclose(*answers)


@torch.no_grad()
def test_backbone_is_given_the_vector_and_nothing_else(network, x):
    embedding = network.encoder(x)
    assert torch.equal(network(x, LABELS, image=x), network.backbone(x, LABELS, embedding=embedding))


@torch.no_grad()
def test_zero_vector_is_not_the_absence_of_a_condition(network, x):
    plain = MODELS.build(**OPTIONS["backbone"]).eval()
    weights = {k: v for k, v in network.backbone.state_dict().items() if k in plain.state_dict()}
    plain.load_state_dict(weights)
    answer = network(x, LABELS, embedding=torch.zeros(3, 6))
    assert not torch.allclose(answer, plain(x, LABELS), atol=1e-4)


def test_encoder_is_called_once_for_each_slice_whatever_the_number_of_levels(network, x, generators):
    calls = []
    network.encoder.register_forward_hook(lambda module, args, out: calls.append(len(args[0])))
    denoiser = NetworkDenoiser(network, linear_schedule())
    for levels in ([250], [250, 500, 750]):
        calls.clear()
        sampler = SAMPLERS.build("oneshot", levels=levels)
        bound_denoiser = bind(denoiser, denoiser.conditions(x, torch.ones_like(x)))
        result = sampler(x * 2 - 1, bound_denoiser, white_noise, generator=generators(1, 2, 3))
        assert result.nfe == len(levels)
        assert calls == [3]


@torch.no_grad()
def test_vector_of_each_scan_stays_with_it_when_levels_are_stacked(network, x):
    denoiser, levels = NetworkDenoiser(network, linear_schedule()), torch.tensor([250, 500])
    bound_denoiser = bind(denoiser, denoiser.conditions(x, torch.ones_like(x)))
    stack = bound_denoiser(torch.cat([x, x]), levels.repeat_interleave(3))
    for i, t in enumerate(levels):
        loop = denoiser(x, t, **denoiser.conditions(x, torch.ones_like(x)))
        torch.testing.assert_close(stack[3 * i : 3 * i + 3], loop, rtol=0, atol=1e-5)


def test_both_parts_train_together(network, x):
    network.train()
    network(x, LABELS, image=x).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.encoder.resnet.conv1.weight.grad.abs().max() > 0


def test_multiple_is_that_of_the_backbone(network):
    assert network.multiple == network.backbone.multiple == 2


def test_parts_are_reached_without_a_warning_although_options_have_their_names(network, recwarn):
    assert network.encoder.options["width"] == 6
    assert type(network.backbone).__name__ == "UNet2D"
    assert not recwarn.list


def test_channels_of_the_encoder_follow_those_of_the_state_unless_named():
    assert Conditioned(**OPTIONS, in_channels=2).encoder.options["in_channels"] == 2
    encoder = {**OPTIONS["encoder"], "in_channels": 1}
    assert Conditioned(OPTIONS["backbone"], encoder, in_channels=2).encoder.options["in_channels"] == 1


def test_exactly_one_of_image_and_embedding_must_be_given(network, x):
    with pytest.raises(ValueError, match="expected either an image or an embedding, got neither"):
        network(x, LABELS)
    with pytest.raises(ValueError, match="expected either an image or an embedding, got both"):
        network(x, LABELS, image=x, embedding=torch.zeros(3, 6))


def test_image_or_embedding_of_another_batch_raises(network, x):
    with pytest.raises(ValueError, match="expected one image for each of 3 states, got 2"):
        network(x, LABELS, image=x[:2])
    with pytest.raises(ValueError, match=r"expected an embedding \(3, 6\), got \(2, 6\)"):
        network(x, LABELS, embedding=torch.zeros(2, 6))


@pytest.mark.parametrize("backbone", [{"channels": [8]}, {}, "unet2d", None])
def test_backbone_without_a_name_raises(backbone):
    with pytest.raises(ValueError, match="expected a backbone with a name, got"):
        Conditioned(backbone)


@pytest.mark.parametrize("option", ["embedding", "in_channels", "out_channels"])
def test_backbone_may_not_name_what_is_ours_to_choose(option):
    with pytest.raises(ValueError, match=f"expected a backbone without .*, got {option}"):
        Conditioned({**OPTIONS["backbone"], option: 3})


def test_backbone_that_takes_no_vector_raises():
    with pytest.raises(KeyError, match="unknown option of model 'dae': 'embedding'"):
        Conditioned({"name": "dae"}, OPTIONS["encoder"])


def test_unknown_option_of_the_encoder_raises_naming_it():
    with pytest.raises(ValueError, match=r"expected options of an encoder, got .*'layers'"):
        Conditioned(OPTIONS["backbone"], {"layers": 18})
