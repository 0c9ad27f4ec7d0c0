"""The vector-quantised codec against the network of diffusers that it wraps."""

import pytest
import torch
from diffusers import VQModel
from diffusers.models.autoencoders.vae import VectorQuantizer

from diffad.models.autoencoder_vq import AutoencoderVQ
from diffad.training.quantising import measure_commitment


@pytest.fixture
def codec():
    """A codec whose codebook lies where its latents are."""
    torch.manual_seed(2)
    codec = AutoencoderVQ(latent=3, entries=12, channels=[8, 16], layers=1, groups=4).eval()
    with torch.no_grad():
        latents = codec.find_latents(torch.rand(3, 1, 16, 16) * 2 - 1)
        codec.codebook.copy_(latents.movedim(1, -1).reshape(-1, 3)[::16])
        codec.scale.fill_(2.5)
    return codec


@pytest.fixture
def x():
    return torch.rand(2, 1, 16, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def test_forward_is_that_of_diffusers(codec, x):
    latents, entries, image = codec(x)
    published = codec.autoencoder(x)
    assert len(codec.find_entries(latents).unique()) > 4
    assert torch.equal(image, published.sample)
    assert torch.equal(latents, codec.autoencoder.encode(x).latents)
    loss = measure_commitment(latents, entries, 0.25).mean()
    torch.testing.assert_close(loss, published.commit_loss)


@torch.no_grad()
def test_encoded_and_decoded_is_the_same(codec, x):
    """Codes are those before quantisation, times the scale; decoding quantises them."""
    z = codec.encode(x)
    torch.testing.assert_close(z, 2.5 * codec.autoencoder.encode(x).latents)
    torch.testing.assert_close(codec.decode(z), codec.autoencoder(x).sample, rtol=1e-5, atol=1e-6)
    nudged = codec.decode(z + 1e-6)
    torch.testing.assert_close(nudged, codec.decode(z), rtol=0, atol=0)


def test_both_terms_learn_as_in_the_corrected_quantiser_of_diffusers(x):
    """With ``legacy=False``: the factor .25 is that of the latents, not of the entries."""
    torch.manual_seed(0)
    quantiser = VectorQuantizer(9, 3, beta=0.25, legacy=False)
    z = torch.randn(2, 3, 4, 4, requires_grad=True)
    theirs = torch.autograd.grad(quantiser(z)[1], (z, quantiser.embedding.weight))
    numbers = quantiser(z)[2][2].reshape(2, 4, 4)
    entries = quantiser.embedding.weight[numbers].movedim(-1, 1)
    loss = measure_commitment(z, entries, 0.25).mean()
    ours = torch.autograd.grad(loss, (z, quantiser.embedding.weight))
    torch.testing.assert_close(ours, theirs)


def test_gradients_of_the_image_pass_the_codebook_as_in_diffusers(codec, x):
    weight = codec.autoencoder.quant_conv.weight
    (ours,) = torch.autograd.grad(codec(x)[2].square().sum(), weight)
    (theirs,) = torch.autograd.grad(codec.autoencoder(x).sample.square().sum(), weight)
    torch.testing.assert_close(ours, theirs)
    assert torch.autograd.grad(codec(x)[2].sum(), codec.codebook, allow_unused=True) == (None,)


def test_recipe_builds_the_network_of_latent_diffusion():
    """VQ at factor 4: widths 128, 256 and 512, two blocks, 8192 entries of three numbers."""
    from diffad.config import load
    from diffad.registry import MODELS

    with torch.device("meta"):
        network = MODELS.build(**load("autoencoder_kl", ["variant=vq"]).model)
        blocks = {
            "down_block_types": ("DownEncoderBlock2D",) * 3,
            "up_block_types": ("UpDecoderBlock2D",) * 3,
        }
        widths = {"block_out_channels": (128, 256, 512), "layers_per_block": 2}
        published = VQModel(3, 3, **blocks, **widths, latent_channels=3, num_vq_embeddings=8192)
    sizes = [sum(p.numel() for p in n.parameters()) for n in (network, published)]
    first, last = 2 * 128 * 9, 2 * (128 * 9 + 1)  # one sequence in the place of three colours
    assert sizes == [55_318_172, 55_318_172 + first + last]
