"""The vector-quantised autoencoder of latent diffusion, for slices, with the scale of its latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.models.codec_network import CodecNetwork
from diffad.models.padding import check_input, check_widths
from diffad.registry import MODELS


@MODELS.register("autoencoder_vq")
class AutoencoderVQ(CodecNetwork):
    r"""Maps an image to latents, and the entries of a codebook that are nearest to them back to the image.

    .. math:: z = s \, E(x), \quad \hat x = D(q(z / s)), \quad
              q(h) = e_k, \; k = \arg\min_j \lVert h - e_j \rVert

    As in latent diffusion, codes are those before quantisation, which is the first thing that decoding does:
    a network of codes sees numbers without steps, and what it makes of them falls on the codebook. Nothing is
    drawn. The scale :math:`s` makes the standard deviation of codes 1; it is measured at the end of training.

    Args:
        in_channels: Channels C of the image.
        latent: Channels of the latent, and of an entry of the codebook.
        entries: Entries of the codebook.
        channels: Width at each scale, finest first; each but the first halves the sides.
        layers: Residual blocks per scale.
        groups: Groups of the normalisation; divides every width.
        attention: Whether the coarsest scale has self-attention.
        dims: Spatial axes: 2, as diffusers has no such network of volumes.

    Raises:
        ValueError: If an option is out of range, or an input has other axes or channels than the network.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017); as "VQ-reg" in High-Resolution
        Image Synthesis with Latent Diffusion Models (Rombach et al., 2022), section 3.1.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        latent: int = 3,
        entries: int = 512,
        channels: Sequence[int] = (64, 128, 256),
        layers: int = 2,
        groups: int = 32,
        attention: bool = True,
        dims: int = 2,
    ) -> None:
        super().__init__()
        check_widths(channels, groups, "AutoencoderVQ")
        if dims != 2:
            raise ValueError(
                f"AutoencoderVQ expected dims of 2, got {dims}; autoencoder_kl has a network of volumes"
            )
        if min(in_channels, latent, layers) < 1 or entries < 2:
            values = f"{in_channels}, {latent}, {layers} and {entries}"
            raise ValueError(
                "AutoencoderVQ expected in_channels, latent and layers of at least 1, and entries of at "
                f"least 2, got {values}"
            )
        self.autoencoder = _build_autoencoder(
            in_channels, latent, entries, tuple(channels), layers, groups, attention
        )
        self.register_buffer("scale", torch.ones(()))

    @property
    def codebook(self) -> Tensor:
        """The entries, (N, Z)."""
        weight: Tensor = self.autoencoder.quantize.embedding.weight
        return weight

    def forward(
        self, x: Tensor, generators: Sequence[torch.Generator] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return unscaled latents (B, Z, *L) of images ``x``, their entries, and what these decode to.

        Gradients of the images reach the latents as if nothing were quantised, and none reaches the entries.
        """
        latents = self.find_latents(x)
        nearest = self.look_up(self.find_entries(latents))
        return latents, nearest, self._decode_quantised(latents + (nearest - latents).detach())

    def find_latents(self, x: Tensor) -> Tensor:
        """Return the unscaled latents (B, Z, H, W) of ``x`` (B, C, H f, W f) before they are quantised."""
        check_input(x, self.in_channels, self.dims, "AutoencoderVQ")
        latents: Tensor = self.autoencoder.encode(x.to(self.dtype)).latents
        return latents

    def find_entries(self, latents: Tensor) -> Tensor:
        """Return the numbers (B, H, W) of the entries nearest to unscaled ``latents`` (B, Z, H, W)."""
        rows = latents.detach().float().movedim(1, -1)
        # without the product of matrices, whose rounding would vary with the batch
        mode = "donot_use_mm_for_euclid_dist"
        flat = torch.cdist(rows.flatten(0, -2), self.codebook.detach().float(), compute_mode=mode)
        return flat.argmin(1).reshape(rows.shape[:-1])

    def look_up(self, numbers: Tensor) -> Tensor:
        """Return the entries (B, Z, H, W) of numbers (B, H, W)."""
        return self.codebook[numbers].movedim(-1, 1)

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return the codes (B, Z, H, W) of images ``x`` in [-1, 1], whose sides the factor divides.

        Args:
            x: Images, (B, C, H f, W f).
            generators: Not used: codes are not drawn.
        """
        return self.scale * self.find_latents(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return the images of codes ``z`` (B, Z, H, W), quantised first; they are not clamped."""
        check_input(z, self.code_channels, self.dims, "AutoencoderVQ.decode")
        return self._decode_quantised(self.look_up(self.find_entries(z.to(self.dtype) / self.scale)))

    def _decode_quantised(self, entries: Tensor) -> Tensor:
        grid = entries.to(self.dtype).contiguous()  # as diffusers has it, to the last bit
        image: Tensor = self.autoencoder.decode(grid, force_not_quantize=True).sample
        return image


def _build_autoencoder(
    in_channels: int,
    latent: int,
    entries: int,
    channels: tuple[int, ...],
    layers: int,
    groups: int,
    attention: bool,
) -> Any:
    from diffusers import VQModel

    return VQModel(
        in_channels=in_channels,
        out_channels=in_channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=layers,
        latent_channels=latent,
        num_vq_embeddings=entries,
        norm_num_groups=groups,
        mid_block_add_attention=attention,
    )
