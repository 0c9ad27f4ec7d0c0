"""Our DiT against that of diffusers, which takes square images and classes alone."""

import torch
from diffusers import DiTTransformer2DModel

from diffad.models.dit import DiT
from diffad.models.patches import fold_patches, unfold_patches

PATCH, WIDTH = 2, 24
NAMES = {
    "norm1.linear": "modulate.linear",
    "attn1": "attention",
    "ff": "perceptron",
}
"""What layers of a block are called in diffusers, and here."""


def build_pair(in_channels=3, out_channels=2):
    """Build both networks with the same weights."""
    torch.manual_seed(0)
    theirs = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=WIDTH // 2,
        in_channels=in_channels,
        out_channels=out_channels,
        num_layers=2,
        sample_size=8,
        patch_size=PATCH,
        num_embeds_ada_norm=5,
        norm_eps=1e-6,
    ).eval()
    for weights in theirs.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    first, second = theirs.transformer_blocks  # each has the embedding of the time, which is one
    second.norm1.emb.load_state_dict(first.norm1.emb.state_dict())
    ours = DiT(in_channels, out_channels, patch=PATCH, width=WIDTH, depth=2, heads=2, grid=4).eval()
    ours.embed.weight.data = theirs.pos_embed.proj.weight.data.flatten(1)
    ours.embed.bias.data = theirs.pos_embed.proj.bias.data
    ours.modulate.load_state_dict(theirs.proj_out_1.state_dict())
    # diffusers has the channels of a patch last, we have them first
    ours.head.weight.data = order_channels_first(theirs.proj_out_2.weight.data, out_channels)
    ours.head.bias.data = order_channels_first(theirs.proj_out_2.bias.data, out_channels)
    for block, other in zip(ours.blocks, theirs.transformer_blocks, strict=True):
        for name, own in NAMES.items():
            block.get_submodule(own).load_state_dict(other.get_submodule(name).state_dict())
    return ours, theirs


def order_channels_first(values, channels):
    rest = values.shape[1:]
    return values.reshape(PATCH**2, channels, *rest).transpose(0, 1).reshape(-1, *rest)


@torch.no_grad()
def test_blocks_and_head_answer_as_those_of_diffusers():
    ours, theirs = build_pair()
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([3, 700])
    expected = theirs(x, timestep=t, class_labels=torch.tensor([1, 4])).sample
    vector = theirs.transformer_blocks[0].norm1.emb(t, torch.tensor([1, 4]), hidden_dtype=x.dtype)
    positions = ours.place_patches((4, 4)).expand(2, -1, -1, -1)
    answer = unfold_patches(ours.run_core(fold_patches(x, PATCH), vector, positions), PATCH)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_patches_of_any_grid_are_placed_as_by_diffusers():
    ours, theirs = build_pair()
    for sides in ((8, 8), (12, 4)):
        x = torch.zeros(1, 3, *sides)
        tokens = theirs.pos_embed(x) - theirs.pos_embed.proj.bias
        grid = [n // PATCH for n in sides]
        expected = tokens.transpose(1, 2).reshape(1, WIDTH, *grid)
        torch.testing.assert_close(ours.place_patches(grid), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_untrained_network_answers_zero_and_its_blocks_change_nothing():
    torch.manual_seed(0)
    network = DiT(patch=2, width=24, depth=2, heads=2, grid=4, embedding=3).eval()
    x = torch.randn(2, 1, 8, 8)
    assert not network(x, torch.tensor([0, 900]), embedding=torch.randn(2, 3)).any()
    tokens = torch.randn(2, 16, 24)
    assert torch.equal(network.blocks[0](tokens, torch.randn(2, 24)), tokens)
