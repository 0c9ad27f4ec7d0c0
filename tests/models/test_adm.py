"""The formulas of the blocks, and options of the network that is made of them."""

import math

import pytest
import torch
import torch.nn.functional as F

from diffad.models.adm import ADM
from diffad.models.blocks import ResidualBlock, SelfAttention, double, halve

SMALL = {"base": 8, "mults": (1, 2, 3), "layers": 1, "groups": 4}
SHAPES = {2: (6, 4), 3: (4, 2, 6)}
LABELS = torch.tensor([3, 30])


def randomise(module):
    """Give weights to the layers that begin at zero, which would hide everything."""
    generator = torch.Generator().manual_seed(0)
    for weights in module.parameters():
        torch.nn.init.normal_(weights, std=0.2, generator=generator)
    return module.eval()


def state(dims, channels=8):
    return torch.randn(2, channels, *SHAPES[dims], generator=torch.Generator().manual_seed(1))


def broadcast(vector, dims):
    return vector.reshape(*vector.shape, *[1] * dims)


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
def test_film_scales_and_shifts_after_the_normalisation(dims):
    block = randomise(ResidualBlock(dims, 8, 8, embedding=5, film=True, groups=4))
    h, emb = state(dims), torch.randn(2, 5)
    scale, shift = (broadcast(v, dims) for v in block.modulation(F.silu(emb)).split(8, dim=1))
    torch.testing.assert_close(block.modulate(h, emb), block.norm_out(h) * (1 + scale) + shift)


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
def test_without_film_the_embedding_is_added_before_the_normalisation(dims):
    block = randomise(ResidualBlock(dims, 8, 8, embedding=5, film=False, groups=4))
    h, emb = state(dims), torch.randn(2, 5)
    shift = broadcast(block.modulation(F.silu(emb)), dims)
    torch.testing.assert_close(block.modulate(h, emb), block.norm_out(h + shift))


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("resample", [None, halve, double])
def test_untrained_block_only_resamples(dims, resample):
    block = ResidualBlock(dims, 8, 8, embedding=5, film=True, groups=4, resample=resample)
    x = state(dims)
    assert torch.equal(block(x, torch.randn(2, 5)), x if resample is None else resample(x))


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
def test_doubled_and_halved_is_what_it_was(dims):
    x = state(dims)
    assert double(x).shape[2:] == tuple(2 * n for n in x.shape[2:])
    torch.testing.assert_close(halve(double(x)), x)


@torch.no_grad()
@pytest.mark.parametrize("dims", [2, 3])
def test_attention_equals_a_naive_softmax(dims):
    attention = randomise(SelfAttention(8, heads=2, groups=4))
    x, result = state(dims), []
    tokens = attention.norm(x).flatten(2).transpose(1, 2)
    q, k, v = attention.qkv(tokens).split(8, dim=2)
    for head in (slice(0, 4), slice(4, 8)):
        weights = (q[..., head] @ k[..., head].transpose(1, 2) / math.sqrt(4)).softmax(-1)
        result.append(weights @ v[..., head])
    expected = x + attention.out(torch.cat(result, 2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(attention(x, torch.zeros(2, 1)), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(("dims", "patch", "multiple"), [(2, 1, 4), (2, 2, 8), (3, 1, 4), (3, 2, 8)])
def test_sides_are_padded_to_patches_times_strides(dims, patch, multiple):
    network = randomise(ADM(**SMALL, dims=dims, patch=patch, in_channels=2, out_channels=3))
    x = torch.randn(2, 2, *(13, 7, 1)[:dims])
    assert network.multiple == multiple
    assert network(x, LABELS).shape == (2, 3, *x.shape[2:])


@torch.no_grad()
def test_time_and_condition_stand_side_by_side():
    network = randomise(ADM(**SMALL, embedding=5))
    c = torch.randn(2, 5)
    emb = network._compute_embedding(LABELS, c, None)
    assert emb.shape == (2, 64)
    assert torch.equal(emb[:, 32:], network.condition(c))
    assert torch.equal(emb[:, :32], network._compute_embedding(LABELS, c + 1, None)[:, :32])


@torch.no_grad()
def test_condition_of_zeros_is_not_no_condition():
    network = randomise(ADM(**SMALL, embedding=5))
    x, zeros = state(2, 1), torch.zeros(2, 5)
    answer = network(x, LABELS, embedding=zeros)
    network.condition[2].bias.zero_()
    network.condition[0].bias.zero_()
    assert not torch.allclose(network(x, LABELS, embedding=zeros), answer)


@pytest.mark.parametrize(("middle", "count"), [(True, 7), (False, 6)])
def test_attention_is_at_the_factors_asked_for(middle, count):
    network = ADM(**SMALL, attention=(2, 4), middle=middle, heads=2)
    names = [n for n, m in network.named_modules() if isinstance(m, SelfAttention)]
    assert sum(n.startswith("down") for n in names) == 2
    assert sum(n.startswith("up") for n in names) == 4
    assert len(names) == count


def test_head_channels_set_the_number_of_heads():
    network = ADM(**SMALL, attention=(2, 4), head_channels=8)
    heads = {m.norm.num_channels: m.heads for m in network.modules() if isinstance(m, SelfAttention)}
    assert heads == {16: 2, 24: 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": (8,)}, r"attention at some of the factors \[1, 2, 4\], got \[8\]"),
        ({"heads": 5}, "heads that divides the width 24, got 5"),
        ({"heads": 0}, "heads that divides the width 24, got 0"),
        ({"head_channels": 16}, "head_channels that divides the width 24, got 16"),
        ({"dims": 4}, "dims of 2 or 3, got 4"),
        ({"layers": 0}, "layers of at least 1, got 0"),
        ({"patch": 0}, "patch of at least 1, got 0"),
        ({"mults": (0.7, 1)}, "whole widths of base = 8"),
    ],
)
def test_options_that_do_not_fit_raise(options, message):
    with pytest.raises(ValueError, match=message):
        ADM(**{**SMALL, **options})
