"""The blocks of DTUNet against their formulas, and what its stem and its time do."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffad.models.dtunet import DTUNet, DTUNetBlock
from diffad.models.dynamic import AggregatingPerceptron, ChannelAffine, HeadInteractedAttention, PatchStem

SMALL = {"patch": 4, "width": 24, "depth": 4, "heads": 3, "grid": 4}
LABELS = torch.tensor([3, 700])


def randomise(module):
    """Draw all weights, so that nothing is hidden by zeros."""
    generator = torch.Generator().manual_seed(0)
    for weights in module.parameters():
        nn.init.normal_(weights, std=0.3, generator=generator)
    return module.eval()


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def attend(attention, tokens, heads):
    """Attention, head by head."""
    answers = []
    q, k, v = (layer(tokens) for layer in (attention.to_q, attention.to_k, attention.to_v))
    for part in torch.arange(q.shape[2]).chunk(heads):
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(len(part))).softmax(-1)
        answers.append(weights @ v[..., part])
    return attention.to_out[0](torch.cat(answers, 2))


@torch.no_grad()
def test_attention_is_that_of_tokens_and_heads():
    layer, tokens = randomise(HeadInteractedAttention(24, 3)), draw(2, 10, 24)
    means = tokens.mean(1)
    head_tokens = []
    for head in range(3):
        parts = layer.project(means[:, 8 * head : 8 * head + 8]).reshape(2, 3, 8)
        head_tokens.append(F.gelu(layer.norm(parts)).reshape(2, 24) + layer.positions[0, head])
    answer = attend(layer.attention, torch.cat([tokens, torch.stack(head_tokens, 1)], 1), 3)
    expected = answer[:, :10].clone()
    expected[:, 0] += answer[:, 10:].mean(1)
    torch.testing.assert_close(layer(tokens), expected)


@torch.no_grad()
@pytest.mark.parametrize("norm", ["group", "batch"])
def test_perceptron_mixes_neighbours_and_scales_the_class(norm):
    layer, tokens = randomise(AggregatingPerceptron(24, norm)), draw(2, 1 + 12, 24)
    maps = tokens[:, 1:].transpose(1, 2).reshape(2, 24, 3, 4)
    m = F.gelu(layer.norm_wide(layer.widen(maps)))
    y = layer.norm_narrow(layer.narrow(F.gelu(layer.norm_mixed(layer.mix(m))) + m))
    gain = layer.excite(F.gelu(layer.squeeze(y.flatten(2).mean(2))))
    answer = layer(tokens, (3, 4))
    torch.testing.assert_close(answer[:, 0], tokens[:, 0] * gain)
    torch.testing.assert_close(answer[:, 1:].transpose(1, 2).reshape(y.shape), y)


@torch.no_grad()
def test_time_is_one_number_for_each_token():
    block, tokens, time = randomise(DTUNetBlock(24, 3, 4, "group")), draw(2, 17, 24), draw(2, 64)
    bias = block.compute_bias(time, (4, 4))
    assert torch.equal(bias[..., 0], block.time(F.gelu(time)))
    added = tokens + bias
    added = added + block.attention(block.norm_attention(added))
    expected = added + block.perceptron(block.norm_perceptron(added), (4, 4))
    torch.testing.assert_close(block(tokens, time, (4, 4)), expected)


@torch.no_grad()
def test_biases_of_another_grid_are_resized_as_a_map():
    block = randomise(DTUNetBlock(24, 3, 4, "group"))
    time = draw(1, 64)
    learned_map = block.time(F.gelu(time))[:, 1:].reshape(1, 1, 4, 4)
    bias = block.compute_bias(time, (8, 2))
    assert bias.shape == (1, 17, 1)
    expected = F.interpolate(learned_map, (8, 2), mode="bilinear")
    torch.testing.assert_close(bias[0, 1:, 0], expected.flatten())


@torch.no_grad()
def test_skips_are_taken_the_last_first():
    network, seen = randomise(DTUNet(**SMALL)), []

    def record(block, args, answer):
        seen.append((args, answer))

    for block in [*network.encoder, network.middle, *network.decoder]:
        block.register_forward_hook(record)
    network(draw(2, 1, 16, 16), LABELS)
    (_, first), (_, second), _, (inner, _), (outer, _) = seen
    assert torch.equal(inner[3], second)
    assert torch.equal(outer[3], first)
    assert len(network.decoder) == 2


@torch.no_grad()
@pytest.mark.parametrize(
    ("patch", "widths"), [(2, [32]), (4, [16, 32]), (8, [8, 16, 32]), (16, [4, 8, 16, 32])]
)
def test_stem_doubles_its_width_at_every_halving(patch, widths):
    stem = PatchStem(3, 32, patch, "group")
    kinds = [type(layer) for layer in stem]
    assert [layer.out_channels for layer in stem if isinstance(layer, nn.Conv2d)] == widths
    assert kinds[0] is kinds[-1] is ChannelAffine
    assert (kinds[-2] is nn.GELU) == (patch == 2)
    assert stem(draw(1, 3, 32, 48)).shape == (1, 32, 32 // patch, 48 // patch)


def test_items_do_not_know_each_other_in_training_but_by_the_published_norm():
    x, other = draw(2, 1, 16, 16), draw(2, 1, 16, 16)
    other[1] += 1
    for norm, alike in (("group", True), ("batch", False)):
        network = randomise(DTUNet(**SMALL, norm=norm)).train()
        answers = [network(images, LABELS)[0] for images in (x, other)]
        assert torch.allclose(*answers, atol=1e-5) == alike


def test_network_learns_to_tell_blobs_from_noise():
    torch.manual_seed(0)
    network = DTUNet(patch=4, width=48, depth=2, heads=3, grid=8)
    axis = torch.arange(32.0)
    blob = torch.exp(-((axis[:, None] - 16) ** 2 + (axis - 12) ** 2) / 40)
    optimiser, losses = torch.optim.AdamW(network.parameters(), lr=2e-3), []
    for _ in range(40):
        noise, labels = torch.randn(4, 1, 32, 32), torch.full((4,), 300)
        loss = (network(0.6 * blob + 0.8 * noise, labels) - noise).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
