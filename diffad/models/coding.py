"""What a network sees in the place of an image: the image itself, its latent code, or its wavelets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.models.haar import Haar
from diffad.models.padding import crop_back, pad_to_multiple
from diffad.protocols import Codec


@dataclass(frozen=True)
class Coding:
    """The way from images to what a network sees, and back; without a codec it sees the images.

    Args:
        codec: Encodes and decodes images whose sides its factor divides, or none.
    """

    codec: Codec | None = None

    @property
    def is_coded(self) -> bool:
        """Whether the network sees anything else than the image."""
        return self.codec is not None

    @property
    def factor(self) -> int:
        """Voxels of the image between two cells of the code."""
        return 1 if self.codec is None else self.codec.factor

    @property
    def reach(self) -> float:
        """How far codes reach from 0."""
        return 1.0 if self.codec is None else self.codec.reach

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return the codes (B, Z, *L) of images ``x`` (B, C, *S) in [-1, 1], padded by their border to fit.

        Args:
            x: Images.
            generators: One for each item, by which a codec may draw; none takes the code as it is.
        """
        if self.codec is None:
            return x
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            padded_image, _ = pad_to_multiple(x.float(), self.factor)
            return self.codec.encode(padded_image, generators).float()

    def decode(self, z: Tensor, size: Sequence[int]) -> Tensor:
        """Return the images (B, C, *S) of sides ``size`` from codes ``z`` (B, Z, *L)."""
        if self.codec is None:
            return z
        with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
            return crop_back(self.codec.decode(z.float()).float(), self._find_crop(size))

    def condition(self, image: Tensor) -> Tensor:
        """Return what stands in the place of images (B, C, *S) in [0, 1] as a condition, in [0, 1], too."""
        return image if self.codec is None else self.show(self.encode(image * 2 - 1))

    def show(self, z: Tensor) -> Tensor:
        """Return codes (B, Z, *L) in the range of conditions, [0, 1]."""
        return (z / self.reach + 1) / 2

    def for_batch(self) -> Coding:
        """Return the coding for one batch, which encodes the same images once."""
        return self if self.codec is None else BatchCoding(self.codec)

    def shrink(self, mask: Tensor) -> Tensor:
        """Return the share of each cell that a mask (B, 1, *S) in [0, 1] covers, (B, 1, *L)."""
        return mask if self.codec is None else self._pool(mask, F.avg_pool2d, F.avg_pool3d)

    def spread(self, region: Tensor) -> Tensor:
        """Return the largest value of a region (B, 1, *S) in each cell, (B, 1, *L): none of it is lost."""
        return region if self.codec is None else self._pool(region, F.max_pool2d, F.max_pool3d)

    def enlarge(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        """Return maps of cells (B, 1, *L) as maps of voxels (B, 1, *S), each cell with the value it has."""
        if self.codec is None:
            return maps
        large_maps = F.interpolate(maps.float(), scale_factor=float(self.factor), mode="nearest")
        return crop_back(large_maps, self._find_crop(size))

    def _pool(self, values: Tensor, flat: Any, solid: Any) -> Tensor:
        padded_values, _ = pad_to_multiple(values.float(), self.factor)
        pool = flat if values.ndim == 4 else solid
        return pool(padded_values, self.factor).to(values.dtype)

    def _find_crop(self, size: Sequence[int]) -> tuple[slice, ...]:
        """Return what undoes the even padding to a multiple of the factor."""
        starts = [-n % self.factor // 2 for n in size]
        return tuple(slice(start, start + n) for start, n in zip(starts, size, strict=True))


@dataclass(frozen=True)
class BatchCoding(Coding):
    """A coding that remembers the codes of one batch, however often they are asked for.

    Args:
        codec: Encodes and decodes images.
        codes: Images and their codes.
    """

    codes: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return the codes (B, Z, *L) of images ``x`` (B, C, *S) in [-1, 1]; nothing is drawn twice."""
        for image, code in self.codes:
            if generators is None and image.shape == x.shape and torch.equal(image, x):
                return code
        code = super().encode(x, generators)
        if generators is None:
            self.codes.append((x, code))
        return code


PIXELS = Coding()
"""The network sees the images."""


def make_coding(space: SpaceConfig, network_channels: int, codec: Any = None) -> Coding:
    """Return what a network sees in a space.

    Args:
        space: Space of the model, whose ``code`` names it.
        network_channels: Channels that the network takes.
        codec: Trained codec, where the code is "latent".

    Raises:
        ValueError: If codec, network and space do not fit together.
    """
    dims = 3 if space.axis == "volume" else 2
    if space.code != "latent":
        _require(codec is None, "space.code latent with a trained codec", repr(space.code))
    if space.code == "pixels":
        return PIXELS
    if space.code == "haar":
        bands = 2**dims
        _require(network_channels % bands == 0, f"a network of {bands} channels a sequence", network_channels)
        codec = Haar(network_channels // bands, dims)
    _require(codec is not None, "a trained codec with space.code latent (networks.codec=FOLDER)", "none")
    is_codec = isinstance(codec, Codec)
    _require(is_codec, "a codec, such as autoencoder_kl or autoencoder_vq", type(codec).__name__)
    _require(codec.dims == dims, f"a codec of {dims} spatial axes", codec.dims)
    fits = network_channels == codec.code_channels
    _require(fits, f"a network of {codec.code_channels} channels, as its codec has", network_channels)
    check_sides(space, codec.factor)
    return Coding(codec)


def check_sides(space: SpaceConfig, factor: int) -> None:
    """Refuse slices that a codec would have to pad: their size and windows must be multiples of its factor.

    Raises:
        ValueError: With the key and the factor; or if the space shows neighbouring slices.
    """
    _require(not space.neighbours, "space.neighbours of 0 in codes", space.neighbours)
    windows = [w for w in (space.window, *space.further_windows) if w is not None]
    sides = {"space.size": [space.size], "space.window": [n for window in windows for n in window]}
    for key, values in sides.items() if space.axis != "volume" else ():
        odd = [n for n in values if n % factor]
        _require(not odd, f"{key} in multiples of {factor}, the factor of its codec", odd and odd[0])


def count_sequences(space: Mapping[str, Any], network_channels: int, codec: Mapping[str, Any] | None) -> int:
    """Return how many sequences a stored model takes.

    Args:
        space: Stored space of the model.
        network_channels: Channels that its network takes.
        codec: Stored options of its codec, or none.
    """
    if space.get("code") == "haar":
        return network_channels // (8 if space.get("axis") == "volume" else 4)
    return network_channels if codec is None else int(codec.get("in_channels", 1))


def _require(ok: bool, expectation: str, value: object) -> None:
    if not ok:
        raise ValueError(f"expected {expectation}, found {value}")
