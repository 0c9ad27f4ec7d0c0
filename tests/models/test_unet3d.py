"""MONAI's network answers as it does on its own."""

import pytest
import torch

from diffad.models.unet3d import UNet3D

SMALL = {"channels": (8, 16), "layers": 1, "groups": 4}


@torch.no_grad()
def test_fitting_volume_gets_the_answer_of_the_network_inside():
    network = UNet3D(**SMALL).eval()
    x, labels = torch.rand(1, 1, 4, 6, 8), torch.tensor([7])
    torch.nn.init.normal_(network.unet.out[-1].conv.weight)  # MONAI begins with an answer of zeros
    y = network(x, labels)
    assert y.std() > 0
    assert torch.equal(y, network.unet(x, labels))


@pytest.mark.parametrize("attention", [True, False])
def test_attention_is_optional(attention):
    names = [n for n, _ in UNet3D(**SMALL, attention=attention).named_modules() if "attentions" in n]
    assert bool(names) == attention


def test_network_of_thor_is_that_of_monai_with_attention_at_the_two_coarser_scales():
    with torch.device("meta"):
        network = UNet3D(channels=(128, 256, 256), layers=1, attention=[1, 2], groups=32, dims=2)
    assert sum(p.numel() for p in network.parameters()) == 18_500_993
    assert len(network.state_dict()) == 212
    blocks = {n.split(".attentions")[0] for n, _ in network.unet.named_modules() if ".attentions" in n}
    assert blocks == {f"{way}_blocks.{k}" for way, k in (("down", 1), ("down", 2), ("up", 0), ("up", 1))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": 1}, "expected dims 2 or 3, got 1"),
        ({"attention": [2]}, "expected scales of attention in 0..1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UNet3D(**SMALL, **options)


def answering(**options):
    """Build a network whose answer is not the zeros that MONAI begins with."""
    network = UNet3D(**{**SMALL, **options}).eval()
    for weights in network.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    return network


@torch.no_grad()
def test_embedding_is_added_to_that_of_the_time():
    network = answering(embedding=6)
    x, c, embeddings = torch.rand(2, 1, 4, 4, 4), torch.randn(2, 6), []
    network.unet.middle_block.register_forward_pre_hook(
        lambda _, __, named: embeddings.append(named["temb"]), with_kwargs=True
    )
    network.unet.time_embed.register_forward_hook(lambda _, __, time: embeddings.append(time))
    network(x, torch.tensor([7, 9]), embedding=c)
    torch.testing.assert_close(embeddings[1], embeddings[0] + network.condition(c))


def test_weights_without_an_embedding_are_those_of_the_unet_alone():
    keys = set(UNet3D(**SMALL).state_dict())
    assert all(key.startswith("unet.") for key in keys)
    assert {k for k in UNet3D(**SMALL, embedding=6).state_dict() if k.startswith("unet.")} == keys


@torch.no_grad()
@pytest.mark.parametrize("shape", [(5, 7, 9), (2, 3, 17), (9, 7, 1), (1, 1, 5), (1, 1, 1)])
def test_volumes_of_any_size_get_an_answer_of_that_size(shape):
    network = answering(channels=(8, 16, 16), attention=True)
    x = torch.rand(1, 1, *shape)
    y = network(x, torch.tensor([7]))
    assert y.shape == x.shape
    assert y.isfinite().all()


@torch.no_grad()
def test_volume_one_voxel_thick_is_seen_as_the_same_slice_again_and_again():
    network, labels = answering(), torch.tensor([7])
    x = torch.rand(1, 1, 6, 4, 1)
    stack = network(x.expand(1, 1, 6, 4, 2), labels)
    assert torch.equal(network(x, labels), stack[..., :1])


def test_volume_one_voxel_thick_trains():
    network = answering().train()
    network(torch.rand(2, 1, 7, 5, 1), torch.tensor([7, 9])).square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
