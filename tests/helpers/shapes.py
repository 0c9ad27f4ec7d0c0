"""A tiny Stable Diffusion that learns discs with a bright spot or a dark hole from their captions."""

import numpy as np
import torch
from torch.nn.functional import mse_loss

from tests.helpers.stable import make_scheduler, write_tokenizer

WORDS = ("disc", "with", "spot", "hole", "a")
SIDE, LENGTH = 32, 8
KINDS = {"spot": 0.4, "hole": -0.4}
"""Words of the captions, and how much brighter each makes its place."""


def draw_discs(count, draw, kinds=(None, *KINDS)):
    """Draw discs (N, 3, 32, 32) in [0, 1], with their captions."""
    rows, columns = np.indices((SIDE, SIDE))
    images, captions = [], []
    for _ in range(count):
        middle, radius = 15.5 + draw.uniform(-1, 1, 2), draw.uniform(11, 14)
        disc = np.hypot(rows - middle[0], columns - middle[1]) < radius
        grey = draw.uniform(0.45, 0.55) * disc
        kind = kinds[draw.integers(len(kinds))]
        if kind:
            angle, way = draw.uniform(0, 2 * np.pi), draw.uniform(0, radius - 5)
            place = middle + way * np.array([np.sin(angle), np.cos(angle)])
            grey += KINDS[kind] * (np.hypot(rows - place[0], columns - place[1]) < draw.uniform(3, 4.5))
        images.append(grey + 0.01 * draw.standard_normal(grey.shape) * disc)
        captions.append(f"a disc with a {kind}" if kind else "a disc")
    pixels = torch.from_numpy(np.stack(images)).float().clamp(0, 1)
    return pixels[:, None].expand(-1, 3, -1, -1).contiguous(), captions


def make_small_networks(vocab, ends):
    """Make the networks; no layer of the text encoder mixes words, so that each says itself alone."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    sides = {"layers_per_block": 1, "norm_num_groups": 8}
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        **sides,
    )
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(latent_channels=4, block_out_channels=(8, 16), **sides, **kinds)
    config = CLIPTextConfig(
        vocab_size=vocab,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=0,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=ends[0],
        eos_token_id=ends[1],
        pad_token_id=ends[1],
    )
    return unet, vae, CLIPTextModel(config)


def train_autoencoder(vae, steps, draw, batch=16):
    """Train an autoencoder, and scale its latents to 1."""
    optimiser = torch.optim.AdamW(vae.parameters(), lr=2e-3)
    for _ in range(steps):
        images = 2 * draw_discs(batch, draw)[0] - 1
        latents = vae.encode(images).latent_dist
        loss = mse_loss(vae.decode(latents.mode()).sample, images) + 1e-4 * latents.mean.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        size = vae.encode(2 * draw_discs(64, draw)[0] - 1).latent_dist.mode().std()
    vae.register_to_config(scaling_factor=float(1 / size))


def train_network(networks, tokenizer, scheduler, steps, draw, batch=16):
    """Train a network and its text encoder to tell the noise; one caption of ten is empty."""
    unet, vae, encoder = networks
    weights = [*unet.parameters(), *encoder.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=2e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=3 * steps)  # its rise and peak
    with torch.no_grad():
        images, captions = draw_discs(512, draw)
        pool = torch.cat([vae.encode(2 * part - 1).latent_dist.mode() for part in images.split(64)])
        pool = pool * vae.config.scaling_factor
    fixed = {"padding": "max_length", "max_length": LENGTH, "return_tensors": "pt"}
    for _ in range(steps):
        picks = draw.integers(len(pool), size=batch)
        texts = ["" if draw.random() < 0.1 else captions[i] for i in picks]
        noise, levels = torch.randn(batch, *pool.shape[1:]), torch.randint(0, 1000, (batch,))
        noisy = scheduler.add_noise(pool[picks], noise, levels)
        answer = unet(noisy, levels, encoder_hidden_states=encoder(tokenizer(texts, **fixed).input_ids)[0])
        loss = mse_loss(answer.sample, noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        plan.step()
    return float(loss)


def train_stable_model(folder, steps=(150, 200)):
    """Train autoencoder and network, and return them as a model."""
    from transformers import CLIPTokenizer

    from diffad.synthesise.stable_model import StableModel

    write_tokenizer(folder, WORDS)
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=LENGTH)
    networks = make_small_networks(len(tokenizer), (tokenizer.bos_token_id, tokenizer.eos_token_id))
    scheduler, draw = make_scheduler(), np.random.default_rng(0)
    train_autoencoder(networks[1], steps[0], draw)
    train_network(networks, tokenizer, scheduler, steps[1], draw)
    return StableModel(*networks, tokenizer, scheduler, name="discs")
