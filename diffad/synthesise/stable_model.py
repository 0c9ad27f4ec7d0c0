"""Stable Diffusion in its parts: images to latents and back, prompts to embeddings, clean estimates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.denoise import clean_estimate
from diffad.io.extras import import_extra
from diffad.io.wording import shorten
from diffad.models.folder import ModelError
from diffad.models.pretrained import quiet_loading
from diffad.schedule import Schedule, find_prediction
from diffad.synthesise.options import find_start
from diffad.synthesise.stable_folder import PARTS, check_stable_folder
from diffad.synthesise.words import embed_prompt

EXTRA = "text"


@dataclass(frozen=True, eq=False)
class StableModel:
    """The networks of Stable Diffusion, frozen.

    Args:
        unet: Predicts noise or velocity of a latent, told of a prompt.
        vae: Images to latents and back.
        text_encoder: Prompts to embeddings.
        tokenizer: Prompts to tokens.
        scheduler: A ``DDIMScheduler``, for its levels and steps.
        name: What messages call it.
        notes: What a user should know of it.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    name: str = "Stable Diffusion"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for network in (self.unet, self.vae, self.text_encoder):
            network.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """Amplitudes by level."""
        return Schedule.from_diffusers(self.scheduler)

    @property
    def side(self) -> int:
        """Pixels of a side of its images."""
        return int(self.unet.config.sample_size) * 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def device(self) -> torch.device:
        """Where its networks lie."""
        return next(self.unet.parameters()).device

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the latents (B, C, h, w) of images (B, 3, H, W) in [0, 1], the most likely ones."""
        latents: Tensor = self.vae.encode(2 * images - 1).latent_dist.mode()
        return latents * self.vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Return images (B, 3, H, W) in [0, 1] of latents (B, C, h, w)."""
        images: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return ((images + 1) / 2).clamp(0, 1)

    def embed(self, prompt: str) -> Tensor:
        """Return the embeddings of a prompt, (1, L, D)."""
        return embed_prompt(self.text_encoder, self.tokenizer, prompt)

    def predict(self, state: Tensor, level: int, embeddings: Tensor) -> Tensor:
        """Return what the network says of states (B, C, h, w) at a level, given prompts (B, L, D)."""
        answer: Tensor = self.unet(state, level - 1, encoder_hidden_states=embeddings).sample
        return answer

    def estimate(self, answer: Tensor, state: Tensor, level: int) -> Tensor:
        """Return the clean latents (B, C, h, w) that an answer means."""
        prediction = find_prediction(self.scheduler)
        return clean_estimate(answer, state, torch.tensor(level), self.schedule, prediction)

    def list_levels(self, steps: int, strength: float) -> list[int]:
        """Return the levels of the way back from a share of the whole, down to 0."""
        self.scheduler.set_timesteps(steps)
        start = find_start(steps, strength)
        return [*(int(t) + 1 for t in self.scheduler.timesteps[start:]), 0]

    def to(self, device: str) -> StableModel:
        """Move the networks to a device, and return itself."""
        for network in (self.unet, self.vae, self.text_encoder):
            network.to(device)
        return self


def load_stable_model(folder: Path, device: str = "cpu") -> StableModel:
    """Load Stable Diffusion from a folder on disk, in single precision; nothing is fetched nor unpickled.

    Args:
        folder: As ``StableDiffusionPipeline.save_pretrained`` writes it.
        device: Where its networks go.

    Raises:
        ImportError: If transformers is missing; the message says how to install it.
        ModelError: If the folder cannot be used.
    """
    variants, notes = check_stable_folder(folder)
    library = import_extra("transformers", EXTRA)
    import diffusers

    homes = {"unet": diffusers, "vae": diffusers, "text_encoder": library}
    networks = {
        part: _load_network(getattr(homes[part], PARTS[part][0]), folder / part, variant)
        for part, variant in variants.items()
    }
    tokenizer = _load(library.CLIPTokenizer, folder / "tokenizer")
    scheduler = _load(diffusers.DDIMScheduler, folder / "scheduler")
    model = StableModel(
        **networks, tokenizer=tokenizer, scheduler=scheduler, name=folder.name, notes=tuple(notes)
    )
    _check_fit(model, folder)
    return model.to(device)


def _load(kind: Any, folder: Path, **options: Any) -> Any:
    try:
        with quiet_loading():
            return kind.from_pretrained(str(folder), local_files_only=True, **options)
    except Exception as error:  # whatever these libraries say of files from a stranger
        reason = shorten(" ".join(str(error).split()))
        raise ModelError(
            f"{folder}: expected a {kind.__name__}, found files that do not load: {reason}"
        ) from error


def _load_network(kind: Any, folder: Path, variant: str | None) -> Any:
    options = {"use_safetensors": True, "variant": variant, "output_loading_info": True}
    network, facts = _load(kind, folder, **options)
    if absent := sorted(facts["missing_keys"]):
        raise ModelError(f"{folder}: expected all weights of a {kind.__name__}, found no {absent[0]}")
    return network.float()


def _check_fit(model: StableModel, folder: Path) -> None:
    """Refuse parts that were not made for one another."""
    unet, width = model.unet.config, int(model.text_encoder.config.hidden_size)
    if int(unet.in_channels) != int(model.vae.config.latent_channels):
        text = f"{unet.in_channels} and {model.vae.config.latent_channels}"
        raise ModelError(f"{folder}: expected unet and vae of as many channels, found {text}")
    if int(unet.cross_attention_dim) != width:
        text = f"{unet.cross_attention_dim} and {width}"
        raise ModelError(f"{folder}: expected unet and text_encoder of one width, found {text}")
