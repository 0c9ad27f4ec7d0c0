"""The autoencoder of Fontanella et al. (2024): its size, its latents, what it keeps of an image."""

import pytest
import torch
from torch import nn

from diffad.models.autoencoder import Autoencoder

SMALL = {"stem": 8, "down": (4, 6, 8), "up": (8, 6, 6), "layers": 1}


def build(**options):
    torch.manual_seed(0)
    return Autoencoder(**{**SMALL, **options}).eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_number_of_weights_is_the_published_one():
    network = Autoencoder(in_channels=4, norm="batch")
    assert (count(network.encoder), count(network.decoder)) == (27_296, 22_288)
    assert count(network) == 27_296 + 22_288


def test_latent_has_the_published_shape():
    with torch.device("meta"):
        network, x = Autoencoder(in_channels=4).eval(), torch.zeros(2, 4, 256, 256)
        z = network.encode(x)
        assert z.shape == (2, 16, 64, 64)
        assert network.decode(z).shape == x.shape


@torch.no_grad()
@pytest.mark.parametrize("shape", [(8, 12), (13, 7), (1, 5), (5, 8, 3)], ids=str)
def test_latent_is_coarser_and_the_answer_has_the_size_of_the_image(shape, generators):
    network = build(dims=len(shape))
    x = torch.rand(2, 1, *shape, generator=generators(0)[0])
    z = network.encode(x)
    assert z.shape == (2, 8, *(-(-n // 4) for n in shape))
    assert network(x).shape == x.shape
    assert torch.equal(network(x), network.decode(network.encode(x), size=shape))


@torch.no_grad()
def test_padding_and_cropping_are_aligned():
    network = build()
    x = torch.zeros(1, 1, 7, 8)
    x[..., 3, 4] = 1
    padded_image = torch.nn.functional.pad(x, (0, 0, 0, 1))  # one row is lacking, which goes behind
    assert torch.equal(network(x), network(padded_image)[..., :7, :])


@torch.no_grad()
def test_latents_without_a_size_are_whole_multiples_and_other_sizes_raise():
    network, z = build(), torch.zeros(1, 8, 2, 3)
    assert network.decode(z).shape == (1, 1, 8, 12)
    assert network.decode(z, size=(5, 9)).shape == (1, 1, 5, 9)
    for size in ((4, 9), (5, 13), (5,)):
        with pytest.raises(ValueError, match=r"Autoencoder.decode expected z of an image of size .*, got"):
            network.decode(z, size=size)
    with pytest.raises(ValueError, match=r"Autoencoder.decode expected \(B, C, I, J\) with C = 8, got"):
        network.decode(z[:, :3])


@torch.no_grad()
@pytest.mark.parametrize("norm", ["group", "batch", "none"])
def test_items_do_not_hear_of_each_other(norm, generators):
    network, x = build(norm=norm), torch.rand(3, 1, 8, 8, generator=generators(0)[0])
    other = x.clone()
    other[1:] += 1
    torch.testing.assert_close(network(other)[0], network(x)[0], rtol=0, atol=1e-6)


@torch.no_grad()
def test_items_do_not_hear_of_each_other_in_training_with_group_normalisation(generators):
    x = torch.rand(2, 1, 8, 8, generator=generators(0)[0])
    other = torch.stack([x[0], x[1] + 1])
    for norm, alone in (("group", True), ("none", True), ("batch", False)):
        network = build(norm=norm).train()
        assert torch.allclose(network(other)[0], network(x)[0], atol=1e-6) == alone


@torch.no_grad()
def test_group_normalisation_does_not_hide_how_bright_an_image_is(generators):
    network, x = build(), torch.rand(1, 1, 16, 16, generator=generators(0)[0])
    assert (network.encode(x) - network.encode(0.5 * x)).abs().mean() > 0.05 * network.encode(x).abs().mean()


def test_gradient_reaches_every_weight_and_the_latent(generators):
    network = build().train()
    z = network.encode(torch.rand(2, 1, 8, 8, generator=generators(0)[0]))
    z.retain_grad()
    network.decode(z).square().sum().backward()
    assert z.grad.abs().max() > 0
    assert all(p.grad is not None for p in network.parameters())


def test_answer_is_not_clamped():
    assert isinstance(build().decoder[-1], nn.Conv2d)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "layer"}, "norm of group, batch, none, got 'layer'"),
        ({"dims": 4}, "dims of 2 or 3, got 4"),
        ({"layers": 0}, "of at least 1, got 1, 8 and 0"),
        ({"up": (8, 6)}, "as many stages up as down"),
        ({"groups": 4}, "widths divisible by groups = 4"),
        ({"down": (), "up": ()}, "widths divisible by groups"),
    ],
    ids=str,
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_other_than_group_normalisation_takes_any_width(norm):
    assert build(norm=norm, down=(3, 5, 7), up=(7, 5, 3)).config.norm == norm
