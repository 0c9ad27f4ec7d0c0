"""The guided way back: its limits, its mask, its randomness, and that the word comes to be seen."""

import hashlib
from dataclasses import fields

import pytest
import torch
from torch.nn.functional import adaptive_max_pool2d

from diffad.synthesise.guided import synthesise_images
from diffad.synthesise.losses import lose_attention
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.prompts import make_prompts
from diffad.synthesise.stable_model import StableModel
from diffad.synthesise.steering import Steering
from diffad.types import generator_for
from tests.helpers.stable import PROMPT

QUICK = {"prompt": PROMPT, "word": "crack", "inference_steps": 4, "strength": 0.5, "inner_steps": 1}
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
BOX = torch.zeros(2, 1, 64, 64)
BOX[..., 16:40, 24:48] = 1


def run(model, images=IMAGES, mask=BOX, seeds=(0, 1), scorer=None, **changes):
    options = SynthesisOptions(**QUICK | changes)
    generators = [generator_for(seed) for seed in seeds]
    return synthesise_images(model, images, mask, options, generators, scorer)


@pytest.fixture(scope="module")
def both(stable):
    return run(stable)


def test_same_seed_gives_the_same_and_another_another(stable, both):
    again, other = run(stable), run(stable, seeds=(2, 3))
    assert torch.equal(both.images, again.images)
    assert not torch.equal(both.images, other.images)


def test_item_alone_is_the_item_of_a_batch(stable, both):
    alone = run(stable, IMAGES[1:], BOX[1:], seeds=(1,))
    assert torch.allclose(both.images[1:], alone.images, atol=1e-5)
    assert torch.allclose(both.attention[1:], alone.attention, atol=1e-5)


def test_mask_of_ones_is_no_mask(stable):
    whole = run(stable, IMAGES[:1], torch.ones_like(BOX[:1]), seeds=(0,))
    assert (whole.images != whole.round_trip).float().mean() > 0.9


def test_mask_of_zeros_leaves_what_the_autoencoder_gives_back(stable):
    made = run(stable, mask=torch.zeros_like(BOX))
    assert torch.allclose(made.images, made.round_trip, atol=1e-5)


def test_no_strength_makes_no_step(stable):
    made = run(stable, strength=0.0)
    assert torch.equal(made.images, made.round_trip)
    assert made.nfe == 0
    assert not made.attention.any()


class ShowsLatents(StableModel):
    """Its pictures are its latents, so that no layer of a decoder reaches beyond the mask."""

    def decode(self, latents):
        return latents[:, :3].repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_latents_stay_outside_the_mask(stable):
    parts = {field.name: getattr(stable, field.name) for field in fields(stable)}
    made = run(ShowsLatents(**parts), IMAGES[:1], BOX[:1], seeds=(0,))
    changed = (made.images != made.round_trip).any(1, keepdim=True)
    assert torch.equal(changed, BOX[:1] > 0)


def test_small_mask_is_kept(stable):
    dot = torch.zeros(1, 1, 64, 64)
    dot[..., 33, 33] = 1
    made = run(stable, IMAGES[:1], dot, seeds=(0,))
    assert not torch.equal(made.images, made.round_trip)


def test_frozen_weights_stay(stable):
    def digest():
        weights = [p for net in (stable.unet, stable.vae, stable.text_encoder) for p in net.parameters()]
        return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in weights)).hexdigest()

    before = digest()
    run(stable, IMAGES[:1], BOX[:1], seeds=(0,))
    assert digest() == before
    assert all(p.grad is None for p in stable.unet.parameters())


def test_guidance_draws_no_noise_of_its_own(stable):
    """Plain image-to-image starts from the same state, so that the two can be compared."""
    one = IMAGES[:1], BOX[:1], (0,)
    plain, guided = run(stable, *one, inner_steps=0), run(stable, *one)
    assert not torch.equal(plain.images, guided.images)
    assert torch.allclose(plain.images, guided.images, atol=0.5)
    assert (plain.nfe, guided.nfe) == (4, 6)


def test_updates_make_the_word_seen(stable):
    options = SynthesisOptions(**QUICK | {"inner_steps": 5})
    prompts = make_prompts(stable, options, 1)
    state = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = torch.ones(1, 1, 32, 32)
    steering = Steering(stable, options, prompts, torch.ones(1, 1, 64, 64), whole)

    def lose(state, embeddings):
        with torch.no_grad():
            _, maps = steering.see(state, embeddings, 297)
        return float(lose_attention(maps, adaptive_max_pool2d(whole, maps.shape[2:])))

    moved, embeddings = steering.steer(state, prompts.cond, 297, 0, 10)
    assert lose(moved, embeddings) < lose(state, prompts.cond)
    rms = float((moved - state).square().mean().sqrt())
    assert 0 < rms <= 5 * 2 * 0.02


def test_scorer_moves_the_image_its_way(stable):
    def dislike_dark(images):
        return 50 * (1 - images.mean((1, 2, 3)))

    one = {"images": IMAGES[:1], "mask": BOX[:1], "seeds": (0,)}
    options = {"inference_steps": 4, "inner_steps": 3, "strength": 1.0, "scale": 1.0}
    plain = run(stable, **one, **options)
    bright = run(stable, **one, scorer=dislike_dark, **options)
    assert bright.images.mean() > plain.images.mean()


def test_attention_lies_between_none_and_all(both):
    assert both.attention.shape == (2, 1, 64, 64)
    assert 0 < float(both.attention.min()) <= float(both.attention.max()) <= 1


@pytest.mark.parametrize("steps", [7, 10, 50])
def test_way_ends_at_the_clean_image(stable, steps):
    levels = stable.list_levels(steps, 1.0)
    assert levels[-1] == 0
    assert levels == sorted(levels, reverse=True)
    assert len(levels) == steps + 1
