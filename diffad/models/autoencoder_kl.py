"""The KL autoencoder of latent diffusion, for slices and volumes, with the scale of its latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.codec_network import CodecNetwork
from diffad.models.padding import check_input, check_widths
from diffad.registry import MODELS
from diffad.types import generators_for


@MODELS.register("autoencoder_kl")
class AutoencoderKL(CodecNetwork):
    r"""Maps an image to the mean and spread of a latent normal distribution, and a latent back to the image.

    .. math:: z = s \, (\mu(x) + \sigma(x) \, n), \quad \hat{x} = D(z / s)

    The code of an image is its mean; training of a network on codes draws them. The scale :math:`s` makes
    their standard deviation 1, and is measured at the end of training.

    Args:
        in_channels: Channels C of the image.
        latent: Channels of the latent.
        channels: Width at each scale, finest first; each but the first halves the sides.
        layers: Residual blocks per scale.
        groups: Groups of the normalisation; divides every width.
        attention: Whether the coarsest scale has self-attention.
        dims: Spatial axes, 2 (the network of diffusers) or 3 (that of MONAI).

    Raises:
        ValueError: If an option is out of range, or an input has other axes or channels than the network.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022), section 3.1; its
        adversary is not built.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        latent: int = 4,
        channels: Sequence[int] = (64, 128, 256, 256),
        layers: int = 2,
        groups: int = 32,
        attention: bool = True,
        dims: int = 2,
    ) -> None:
        super().__init__()
        check_widths(channels, groups, "AutoencoderKL")
        if dims not in (2, 3):
            raise ValueError(f"AutoencoderKL expected dims of 2 or 3, got {dims}")
        if min(in_channels, latent, layers) < 1:
            values = f"{in_channels}, {latent} and {layers}"
            raise ValueError(
                f"AutoencoderKL expected in_channels, latent and layers of at least 1, got {values}"
            )
        build = _build_flat if dims == 2 else _build_solid
        self.autoencoder: Any = build(in_channels, latent, tuple(channels), layers, groups, attention)
        self.register_buffer("scale", torch.ones(()))

    def forward(
        self, x: Tensor, generators: Sequence[torch.Generator] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and deviation of the latents of images ``x`` (B, C, *S), and what they decode to."""
        mean, std = self.find_moments(x)
        return mean, std, self.decode(self.draw_codes((mean, std), generators))

    def find_moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (B, Z, *L) of the unscaled latents of ``x`` (B, C, *S)."""
        check_input(x, self.in_channels, self.dims, "AutoencoderKL")
        if self.dims == 3:
            mean, std = self.autoencoder.encode(x.to(self.dtype))
            return mean, std
        latents = self.autoencoder.encode(x.to(self.dtype)).latent_dist
        return latents.mean, latents.std

    def encode(self, x: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return the codes (B, Z, *L) of images ``x`` (B, C, *S) in [-1, 1], whose sides the factor divides.

        Args:
            x: Images.
            generators: One for each item, which draw the codes; none takes their mean.
        """
        return self.draw_codes(self.find_moments(x), generators)

    def draw_codes(
        self, moments: tuple[Tensor, Tensor], generators: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Return codes of mean and spread (B, Z, *L), drawn by generators or the mean."""
        mean, std = moments
        return self.scale * (mean if generators is None else mean + std * draw_latent_noise(mean, generators))

    def decode(self, z: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes ``z`` (B, Z, *L); they are not clamped."""
        check_input(z, self.code_channels, self.dims, "AutoencoderKL.decode")
        answer = self.autoencoder.decode(z.to(self.dtype) / self.scale)
        return answer if isinstance(answer, Tensor) else answer.sample


def draw_latent_noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw unit noise shaped as ``like`` (B, Z, *L), item i from generator i, wherever that lives."""
    shape = like.shape[1:]
    items = [torch.randn(shape, generator=g, device=g.device) for g in generators_for(generators, len(like))]
    return torch.stack([item.to(like) for item in items])


def _build_flat(
    in_channels: int, latent: int, channels: tuple[int, ...], layers: int, groups: int, attention: bool
) -> nn.Module:
    from diffusers import AutoencoderKL as FlatAutoencoder

    network: nn.Module = FlatAutoencoder(
        in_channels=in_channels,
        out_channels=in_channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=layers,
        latent_channels=latent,
        norm_num_groups=groups,
        mid_block_add_attention=attention,
    )
    return network


def _build_solid(
    in_channels: int, latent: int, channels: tuple[int, ...], layers: int, groups: int, attention: bool
) -> nn.Module:
    # MONAI takes seconds to import, and 2-D users never need it
    from monai.networks.nets import AutoencoderKL as SolidAutoencoder

    sides = ("encoder", "decoder")
    options: dict[str, Any] = {f"with_{side}_nonlocal_attn": attention for side in sides}
    network: nn.Module = SolidAutoencoder(
        spatial_dims=3,
        in_channels=in_channels,
        out_channels=in_channels,
        num_res_blocks=(layers,) * len(channels),
        channels=channels,
        attention_levels=(False,) * len(channels),
        latent_channels=latent,
        norm_num_groups=groups,
        **options,
    )
    return network
