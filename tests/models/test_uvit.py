"""U-ViT: the order of its tokens and skips, and its block against its formula."""

import pytest
import torch
from torch import nn

from diffad.models.uvit import UViT, UViTBlock

SMALL = {"patch": 4, "width": 24, "depth": 4, "heads": 3, "grid": 4}
LABELS = torch.tensor([3, 700])


@pytest.fixture
def calls():
    """What went into and came out of each block, in order, of a network with a condition."""
    torch.manual_seed(0)
    network, calls = UViT(**SMALL, embedding=5).eval(), []
    for block in [*network.encoder, network.middle, *network.decoder]:
        block.register_forward_hook(lambda block, args, answer: calls.append((args, answer)))
    with torch.no_grad():
        network(torch.randn(2, 1, 16, 12), LABELS, embedding=torch.randn(2, 5))
    return calls


def test_skips_are_taken_the_last_first(calls):
    (_, first), (_, second), _, (inner, _), (outer, _) = calls
    assert torch.equal(inner[1], second)
    assert torch.equal(outer[1], first)


def test_time_and_condition_are_a_token_each(calls):
    assert {answer.shape for _, answer in calls} == {(2, 2 + 4 * 3, 24)}


@torch.no_grad()
def test_block_adds_attention_and_perceptron_of_normalised_tokens():
    torch.manual_seed(0)
    block, tokens, skip = UViTBlock(24, 3, has_skip=True).eval(), torch.randn(2, 7, 24), torch.randn(2, 7, 24)
    for weights in block.parameters():
        nn.init.normal_(weights, std=0.3)
    h = block.skip(torch.cat([tokens, skip], 2))
    h = h + block.attention(block.norm_attention(h))
    torch.testing.assert_close(block(tokens, skip), h + block.perceptron(block.norm_perceptron(h)))
