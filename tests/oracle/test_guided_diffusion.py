"""The published U-Nets in two builds, ours and that of diffusers, with the same weights."""

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel

from diffad.models.adm import ADM
from diffad.models.resampling import Doubling, Halving
from diffad.models.resnet import ResNet
from diffad.schedule import Schedule
from diffad.training.variational import compute_log_variances

WIDTHS, BASE = (1, 1, 2, 2, 4, 4), {"base": 128, "layers": 2, "heads": 1}
WOLLEB = {
    "attention": (16,),
    "film": False,
    "resample": "convolution",
    "classes": 2,
    "learned_variance": True,
}
"""Counterfactuals by a classifier (Wolleb et al., 2022)."""
DIFFUSE = {"attention": (8, 16, 32)}
"""Dif-fuse (Fontanella et al., 2024)."""
ROWS = {"wolleb": (WOLLEB, False), "diffuse": (DIFFUSE, True)}


def published(options, channels=4):
    with torch.device("meta"):
        return ADM(in_channels=channels, out_channels=channels, mults=WIDTHS, **BASE, **options)


def size(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "channels", "count"),
    [(WOLLEB, 4, 113_681_160), (WOLLEB, 1, 113_670_786), (DIFFUSE, 4, 138_288_772)],
)
def test_networks_have_as_many_parameters_as_published(options, channels, count):
    assert size(published(options, channels)) == count


def test_published_classifier_of_clean_slices_is_a_resnet_50():
    with torch.device("meta"):
        assert size(ResNet(in_channels=3, classes=1000)) == 25_557_032  # as all libraries have it
        network = ResNet(in_channels=4, classes=2)
    assert size(network) == 25_557_032 + 64 * 49 - 998 * (2048 + 1) == 23_515_266
    stem = network.encoder.resnet.conv1
    assert (stem.kernel_size, stem.stride, stem.padding) == ((7, 7), (2, 2), (3, 3))
    assert [p.stride for p in network.encoder.resnet.layer2[0].children() if hasattr(p, "stride")] == [
        (1, 1),
        (2, 2),
        (1, 1),
    ]


def test_variance_doubles_the_answer_and_all_of_it_is_zero_before_training():
    network, (x, t) = published({**WOLLEB, "classes": 0}), (torch.zeros(2, 4, 256, 256), torch.zeros(2))
    assert network(x.to("meta"), t.to("meta"), variance=True).shape == (2, 8, 256, 256)
    assert network(x.to("meta"), t.to("meta")).shape == (2, 4, 256, 256)
    y = t.long()
    small = ADM(base=8, mults=(1, 2), layers=1, groups=4, **{**WOLLEB, "attention": (2,)})
    answer = small(torch.randn(2, 1, 8, 8), t, y=y, variance=True)
    assert answer.shape == (2, 2, 8, 8)
    assert not answer.any()


def test_lengths_change_in_convolutions_or_in_blocks_as_published():
    kinds = [type(part) for part in published(WOLLEB).modules()]
    assert (kinds.count(Halving), kinds.count(Doubling)) == (5, 5)
    kinds = [type(part) for part in published(DIFFUSE).modules()]
    assert (kinds.count(Halving), kinds.count(Doubling)) == (0, 0)


def copy_layer(ours, theirs):
    theirs.load_state_dict({k: v.reshape(theirs.state_dict()[k].shape) for k, v in ours.state_dict().items()})


def copy_block(ours, theirs):
    for name, other in (
        ("norm_in", "norm1"),
        ("conv_in", "conv1"),
        ("modulation", "time_emb_proj"),
        ("norm_out", "norm2"),
        ("conv_out", "conv2"),
    ):
        copy_layer(getattr(ours, name), getattr(theirs, other))
    if theirs.conv_shortcut is not None:
        copy_layer(ours.skip, theirs.conv_shortcut)


def copy_attention(ours, theirs):
    copy_layer(ours.norm, theirs.group_norm)
    copy_layer(ours.out, theirs.to_out[0])
    parts = zip(ours.qkv.weight.chunk(3), ours.qkv.bias.chunk(3), strict=True)
    for layer, (weight, bias) in zip((theirs.to_q, theirs.to_k, theirs.to_v), parts, strict=True):
        layer.load_state_dict({"weight": weight, "bias": bias})


def copy_resampling(ours, theirs):
    copy_layer(ours.conv, theirs.conv) if hasattr(ours, "conv") else copy_block(ours, theirs)


def copy_stages(stages, blocks, resampler):
    """Copy the stages of one way into the blocks of diffusers, in the order that both run them."""
    for block in blocks:
        attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
        pending = None
        for residual, attention in zip(block.resnets, attentions, strict=True):
            mine = list(next(stages).blocks)
            copy_block(mine.pop(0), residual)
            if attention is not None:
                copy_attention(mine.pop(0), attention)
            pending = mine.pop() if mine else None
            assert not mine
        for layer in getattr(block, resampler) or ():
            copy_resampling(pending if pending is not None else next(stages).blocks[0], layer)


def build_pair(options, in_blocks):
    """Return our network and that of diffusers, with the same random weights."""
    torch.manual_seed(0)
    learned = options.get("learned_variance", False)
    ours = ADM(2, 2, base=8, mults=(1, 2, 3), layers=2, groups=4, heads=1, **{**options, "attention": (4,)})
    for weights in ours.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    sides = [f"{'Resnet' if in_blocks else ''}{way}Block2D" for way in ("Down", "Up")]
    if in_blocks:
        sides = ["ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"]
    theirs = UNet2DModel(
        in_channels=2,
        out_channels=4 if learned else 2,
        block_out_channels=(8, 16, 24),
        layers_per_block=2,
        down_block_types=(sides[0], sides[0], "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", sides[1], sides[1]),
        attention_head_dim=None,
        attn_norm_num_groups=4,
        norm_num_groups=4,
        num_class_embeds=options.get("classes"),
        resnet_time_scale_shift="scale_shift" if in_blocks else "default",
        downsample_type="resnet" if in_blocks else "conv",
        upsample_type="resnet" if in_blocks else "conv",
    )
    copy_layer(ours.stem, theirs.conv_in)
    copy_layer(ours.time[0], theirs.time_embedding.linear_1)
    copy_layer(ours.time[2], theirs.time_embedding.linear_2)
    if ours.table is not None:
        copy_layer(ours.table, theirs.class_embedding)
    copy_stages(iter(ours.down), theirs.down_blocks, "downsamplers")
    copy_block(ours.bottom.blocks[0], theirs.mid_block.resnets[0])
    copy_attention(ours.bottom.blocks[1], theirs.mid_block.attentions[0])
    copy_block(ours.bottom.blocks[2], theirs.mid_block.resnets[1])
    copy_stages(iter(ours.up), theirs.up_blocks, "upsamplers")
    copy_layer(ours.norm, theirs.conv_norm_out)
    copy_layer(ours.out, theirs.conv_out)
    return ours.eval(), theirs.eval()


@pytest.mark.parametrize("row", ROWS)
@torch.no_grad()
def test_network_answers_as_that_of_diffusers_with_its_weights(row):
    options, in_blocks = ROWS[row]
    ours, theirs = build_pair(options, in_blocks)
    assert size(ours) == size(theirs)
    x, t = torch.randn(2, 2, 16, 12), torch.tensor([3, 800])
    y = torch.tensor([1, 0]) if "classes" in options else None
    variance = {"variance": True} if "learned_variance" in options else {}
    answer = ours(x, t, y=y, **variance)
    assert answer.std() > 0.1
    torch.testing.assert_close(answer, theirs(x, t, class_labels=y).sample, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("t", [2, 250, 1000])
def test_learned_variance_lies_between_those_of_diffusers(t):
    scheduler = DDPMScheduler(variance_type="learned_range")
    like, level = torch.zeros(1, 1, 1, 1), torch.tensor([t])
    small, large = compute_log_variances(level, Schedule.from_diffusers(scheduler), like)
    for o in (-1.0, -0.3, 1.0):
        theirs = scheduler._get_variance(t - 1, predicted_variance=torch.tensor(o))
        assert float(small + (o + 1) / 2 * (large - small)) == pytest.approx(float(theirs), rel=1e-4)
