"""A tiny Stable Diffusion with random weights, and its tokenizer of letters and a few whole words."""

import json

import torch

WORDS = tuple(
    [
        "table",
        "faded",
        "that",
        "hazelnut",
        "photo",
        "crack",
        "large",
        "with",
        "blob",
        "of",
        "on",
        "it",
        "is",
        "a",
    ]
)
"""In an order in which the merges of none spoil those of another."""
PROMPT = "a photo of a hazelnut with a crack on it"


def write_tokenizer(folder, words=WORDS):
    """Write a vocabulary in which each of the words is one token and all others are letters."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(number) for number in range(33, 127)]
    merges, pieces = [], []
    for word in words:
        left, rest = word[0], [*word[1:-1], f"{word[-1]}</w>"] if len(word) > 1 else []
        for part in rest:
            merges.append(f"{left} {part}")
            left += part
            pieces.append(left)
    merges = list(dict.fromkeys(merges))
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *dict.fromkeys(pieces)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    return folder


def make_tokenizer(folder):
    from transformers import CLIPTokenizer

    write_tokenizer(folder)
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def make_networks(vocab, ends, seed=0):
    """Make the networks of 64 x 64 pictures, whose attention has 16 x 16 pixels in its lower layers."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    blocks = {"block_out_channels": (16, 32), "norm_num_groups": 8, "layers_per_block": 1}
    kinds = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(latent_channels=4, **blocks, **kinds)
    config = CLIPTextConfig(
        vocab_size=vocab,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=ends[0],
        eos_token_id=ends[1],
        pad_token_id=ends[1],
    )
    return unet, vae, CLIPTextModel(config)


def make_scheduler():
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
    )


def make_stable_model(folder, seed=0):
    """Make a model in memory."""
    from diffad.synthesise.stable_model import StableModel

    tokenizer = make_tokenizer(folder)
    ends = tokenizer.bos_token_id, tokenizer.eos_token_id
    return StableModel(*make_networks(len(tokenizer), ends, seed), tokenizer, make_scheduler())


def write_stable_folder(folder, checker=None, scheduler=None):
    """Write a model as Stable Diffusion is shared: PNDM steps, weights as safetensors."""
    from diffusers import PNDMScheduler

    model = make_stable_model(folder / "tokenizer")
    for name in ("unet", "vae", "text_encoder"):
        getattr(model, name).save_pretrained(folder / name)
    model.tokenizer.save_pretrained(folder / "tokenizer")
    (scheduler or PNDMScheduler.from_config(model.scheduler.config)).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "safety_checker": checker or [None, None],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
