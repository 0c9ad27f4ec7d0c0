"""The codec of a run: which one, and codes of images that training sees again and again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffad.config import Config, ConfigError
from diffad.data.corruptions import check_code_tasks, expand_tasks
from diffad.models.autoencoder_kl import AutoencoderKL
from diffad.models.coding import PIXELS, Coding, make_coding

MOST_BYTES = 2**30
"""Memory that codes may take."""


def build_coding(config: Config, codec: Any, device: torch.device | None = None) -> Coding:
    """Return what the network of an experiment sees.

    Codes are kept where no image is ever another one: without augmentation, and corruptions of images.

    Args:
        config: The experiment.
        codec: Its trained codec, or none.
        device: Where it lives; none leaves it where it is.

    Raises:
        ConfigError: If space, network and codec do not fit together, the task takes images, or codes are to
            be corrupted where there are none or by a kind that cannot.
    """
    _check_corrupted(config)
    if config.task in ("autoencode", "compress"):
        if config.space.code != "pixels" or codec is not None:
            raise ConfigError(f"config key space.code: expected pixels with task {config.task}, found others")
        return PIXELS
    try:
        coding = make_coding(config.space, config.model.get("in_channels", 1), codec)
    except ValueError as error:
        raise ConfigError(f"config key space.code: {error}") from error
    if codec is None or device is None:
        return coding
    codec.to(device)
    changes_images = config.corrupt.tasks and not config.corrupt.codes
    is_fixed = not (changes_images or any(vars(config.augment).values()))
    return Coding(RememberingCodec(codec)) if is_fixed and isinstance(codec, AutoencoderKL) else coding


def _check_corrupted(config: Config) -> None:
    """Refuse kinds that are unknown, and corruptions of codes that cannot be."""
    corrupt = config.corrupt
    try:
        tasks = expand_tasks((*corrupt.tasks, *corrupt.held_out))
        if corrupt.codes:
            check_code_tasks(tasks)
    except ValueError as error:
        raise ConfigError(f"config key corrupt.tasks: {error}") from error
    if corrupt.codes and config.space.code == "pixels":
        raise ConfigError("config key corrupt.codes: expected false with space.code pixels, found true")
    if corrupt.codes and corrupt.role not in ("restore", "source"):
        raise ConfigError(
            f"config key corrupt.role: expected restore or source with corrupt.codes, found {corrupt.role}"
        )


class RememberingCodec:
    """A KL autoencoder that encodes an image once, and draws its code anew each time.

    Args:
        codec: The autoencoder.
        most_bytes: Memory for what is remembered; images beyond it are encoded each time.
    """

    def __init__(self, codec: AutoencoderKL, most_bytes: int = MOST_BYTES) -> None:
        self.codec, self.most_bytes = codec, most_bytes
        self.dims, self.factor, self.reach = codec.dims, codec.factor, codec.reach
        self.in_channels, self.code_channels = codec.in_channels, codec.code_channels
        self._moments: dict[bytes, Tensor] = {}
        self._bytes = 0

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return the codes (B, Z, *L) of images ``x`` (B, C, *S), drawn by generators or their mean."""
        keys = [_name_image(item) for item in x]
        missing = [i for i, key in enumerate(keys) if key not in self._moments]
        moments = dict(zip(missing, self._find(x[missing]), strict=True)) if missing else {}
        for i, pair in moments.items():
            self._keep(keys[i], pair)
        rows = [moments[i] if i in moments else self._moments[key] for i, key in enumerate(keys)]
        mean, std = torch.stack(rows).to(x.device).unbind(1)
        return self.codec.draw_codes((mean, std), generators)

    def decode(self, z: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes ``z`` (B, Z, *L)."""
        return self.codec.decode(z)

    def _find(self, x: Tensor) -> list[Tensor]:
        return list(torch.stack(self.codec.find_moments(x), 1).cpu())

    def _keep(self, key: bytes, pair: Tensor) -> None:
        size = pair.numel() * pair.element_size()
        if self._bytes + size <= self.most_bytes and key not in self._moments:
            self._moments[key], self._bytes = pair.clone(), self._bytes + size


def _name_image(image: Tensor) -> bytes:
    return hashlib.blake2b(image.detach().cpu().contiguous().numpy().tobytes(), digest_size=16).digest()
