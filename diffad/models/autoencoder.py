"""A residual autoencoder of clean images, in whose latents an image can be edited."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.padding import check_input, check_widths, crop_back, pad_to_multiple
from diffad.models.residual import NORMS, Block, Layers
from diffad.registry import MODELS


@MODELS.register("autoencoder")
class Autoencoder(ModelMixin, ConfigMixin):
    r"""Maps a clean image to a coarser latent of few channels, and back.

    .. math:: z = E(x), \quad \hat{x} = D(z)

    A wide stem and residual stages lead down, the stages of ``up`` back; every stage but the first halves the
    lengths, and every stage but the last of the way back doubles them. The answer is linear, not clamped.

    Args:
        in_channels: Channels C of the image.
        stem: Channels after the first convolution.
        down: Channels of each stage of E, finest first; the last is the latent's.
        up: Channels of each stage of D, coarsest first; as many as of ``down``.
        layers: Residual blocks per stage.
        norm: "group"; "batch" as published, by which items of a batch depend on each other in training; or
            "none".
        groups: Groups of the normalisation; divides every width of ``down`` and ``up``, only for "group".
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or an input has other axes or channels than the network.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., IEEE TMI 2024), with ``in_channels=4, norm="batch"``.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        stem: int = 128,
        down: Sequence[int] = (6, 12, 16),
        up: Sequence[int] = (16, 12, 12),
        layers: int = 2,
        norm: str = "group",
        groups: int = 2,
        dims: int = 2,
    ) -> None:
        super().__init__()
        _check(in_channels, stem, down, up, layers, norm, groups, dims)
        factory = Layers(dims, norm, groups)
        strides = [1] + [2] * (len(down) - 1)
        pairs = zip(pairwise([stem, *down]), strides, strict=True)
        down_stages = [_build_stage(factory, a, b, layers, stride=stride) for (a, b), stride in pairs]
        pairs = zip(pairwise([down[-1], *up]), strides[::-1], strict=True)
        up_stages = [_build_stage(factory, a, b, layers, grow=stride > 1) for (a, b), stride in pairs]
        self.encoder = nn.Sequential(
            factory.make_conv(in_channels, stem), factory.make_carry_norm(stem), nn.ReLU(), *down_stages
        )
        self.decoder = nn.Sequential(*up_stages, factory.make_conv(up[-1], in_channels))

    @property
    def multiple(self) -> int:
        """What the sides of an image are padded to, and pixels between two positions of the latent."""
        return int(2 ** (len(self.config.down) - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Encode images ``x`` (B, C, *S) in [0, 1] and decode them from their latents."""
        return self.decode(self.encode(x), size=tuple(x.shape[2:]))

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents (B, Z, *L) of images ``x`` (B, C, *S) in [0, 1], L = ceil(S / ``multiple``)."""
        check_input(x, self.config.in_channels, self.config.dims, "Autoencoder")
        padded_image, _ = pad_to_multiple(x.to(self.dtype), self.multiple)
        return self.encoder(padded_image)

    def decode(self, z: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Return the images (B, C, *S) of latents ``z`` (B, Z, *L).

        Args:
            z: Latents.
            size: Lengths S of the image; none for whole multiples.

        Raises:
            ValueError: If the latents have other axes, channels or lengths.
        """
        check_input(z, self.config.down[-1], self.config.dims, "Autoencoder.decode")
        sides = [self.multiple * n for n in z.shape[2:]]
        size = tuple(sides if size is None else size)
        if [self.multiple * ceil(n / self.multiple) for n in size] != sides:
            raise ValueError(
                f"Autoencoder.decode expected z of an image of size {size}, got {tuple(z.shape)}"
            )
        # the inverse of the even padding of ``encode``
        crop = tuple(slice((side - n) // 2, (side - n) // 2 + n) for side, n in zip(sides, size, strict=True))
        return crop_back(self.decoder(z.to(self.dtype)), crop)


def _build_stage(
    factory: Layers, width: int, out: int, layers: int, stride: int = 1, grow: bool = False
) -> nn.Sequential:
    first = Block(factory, width, out, stride, grow)
    return nn.Sequential(first, *(Block(factory, out, out) for _ in range(layers - 1)))


def _check(
    in_channels: int,
    stem: int,
    down: Sequence[int],
    up: Sequence[int],
    layers: int,
    norm: str,
    groups: int,
    dims: int,
) -> None:
    if norm not in NORMS:
        raise ValueError(f"Autoencoder expected norm of {', '.join(NORMS)}, got {norm!r}")
    if dims not in (2, 3):
        raise ValueError(f"Autoencoder expected dims of 2 or 3, got {dims}")
    if min(in_channels, stem, layers) < 1:
        values = f"{in_channels}, {stem} and {layers}"
        raise ValueError(f"Autoencoder expected in_channels, stem and layers of at least 1, got {values}")
    if len(down) != len(up):
        raise ValueError(f"Autoencoder expected as many stages up as down, got {list(up)} and {list(down)}")
    check_widths([*down, *up], groups if norm == "group" else 1, "Autoencoder")
