"""Pixels folded into channels, and attention at the coarsest scale."""

import pytest
import torch
from diffusers import UNet2DModel

from diffad.models.unet2d import UNet2D

SMALL = {"channels": (8, 16), "layers": 1, "groups": 4}
LABELS = torch.tensor([3, 30])


@torch.no_grad()
def test_patches_become_channels_and_come_back_to_their_place():
    network = UNet2D(**SMALL, patch=2).eval()
    assert network.unet.config.in_channels == 4
    network.unet.forward = lambda folded, labels, vector, return_dict: (folded,)
    x = torch.rand(2, 1, 12, 8)
    assert torch.equal(network(x, LABELS), x)


@torch.no_grad()
@pytest.mark.parametrize(("patch", "multiple"), [(1, 2), (2, 4), (4, 8)])
def test_sides_are_padded_to_patches_times_strides(patch, multiple):
    network = UNet2D(**SMALL, patch=patch, in_channels=2, out_channels=2).eval()
    assert network.multiple == multiple
    assert network(torch.rand(2, 2, 13, 7), LABELS).shape == (2, 2, 13, 7)


@torch.no_grad()
def test_patch_of_one_is_the_unet_of_diffusers():
    network = UNet2D(**SMALL).eval()
    x = torch.rand(2, 1, 8, 8)
    assert isinstance(network.unet, UNet2DModel)
    assert torch.equal(network(x, LABELS), network.unet(x, LABELS).sample)


def test_patches_cost_their_area_less():
    plain, patches = (sum(p.numel() for p in UNet2D(**SMALL, patch=p).parameters()) for p in (1, 2))
    assert patches < 1.2 * plain


@pytest.mark.parametrize("attention", [True, False])
def test_attention_is_at_the_coarsest_scale_or_nowhere(attention):
    names = [n for n, _ in UNet2D(**SMALL, attention=attention).named_modules() if n.endswith("to_q")]
    assert bool(names) == attention
    assert not any(n.startswith(("unet.down_blocks.0", "unet.up_blocks.1")) for n in names)


def test_attention_is_at_the_scales_of_each_way_that_are_named():
    options = {"channels": (8, 16, 16), "layers": 1, "groups": 4, "head_channels": 4}
    unet = UNet2D(**options, attention={"down": [1, 2], "up": [0]}).unet
    assert [hasattr(block, "attentions") for block in unet.down_blocks] == [False, True, True]
    assert [hasattr(block, "attentions") for block in unet.up_blocks] == [False, False, True]
    assert {m.heads for name, m in unet.named_modules() if "attentions." in name and hasattr(m, "heads")} == {
        2,
        4,
    }


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ({"down": [2], "up": []}, r"expected scales of attention in 0..1, got \[2\]"),
        ({"down": [True], "up": []}, r"expected scales of attention in 0..1, got \[True\]"),
        ({"down": [1]}, "expected attention true, false or scales down and up"),
    ],
)
def test_scales_that_are_not_there_are_refused(attention, message):
    with pytest.raises(ValueError, match=message):
        UNet2D(**SMALL, attention=attention)


def test_patch_below_one_raises():
    with pytest.raises(ValueError, match="expected patch of at least 1, got 0"):
        UNet2D(**SMALL, patch=0)


@torch.no_grad()
def test_embedding_is_added_to_that_of_the_time():
    network = UNet2D(**SMALL, embedding=6).eval()
    x, c, embeddings = torch.rand(2, 1, 8, 8), torch.randn(2, 6), []
    network.unet.mid_block.register_forward_pre_hook(lambda _, inputs: embeddings.append(inputs[1]))
    network(x, LABELS, embedding=c)
    time = network.unet.time_embedding(network.unet.time_proj(LABELS))
    torch.testing.assert_close(embeddings[0], time + network.condition(c))


def test_weights_without_an_embedding_are_those_of_the_unet_alone():
    assert all(key.startswith("unet.") for key in UNet2D(**SMALL).state_dict())
    assert UNet2D(**SMALL).unet.config.class_embed_type is None
