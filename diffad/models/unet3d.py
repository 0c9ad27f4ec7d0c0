"""The 3-D denoising network: MONAI's diffusion U-Net, saved the diffusers way. It comes in 2-D, too."""

from __future__ import annotations

from collections.abc import Sequence

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.embedding import check_embedding, check_width, embed, make_embedding_layers
from diffad.models.padding import check_input, check_widths, list_scales, run_padded
from diffad.registry import MODELS


@MODELS.register("unet3d")
class UNet3D(ModelMixin, ConfigMixin):
    """Predicts noise, velocity or the image of volumes with MONAI's DiffusionModelUNet.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it.
        out_channels: Channels of the answer.
        channels: Width at each scale, finest first.
        layers: Residual blocks per scale.
        attention: Whether the coarsest scale has self-attention, or the scales that do, 0 the finest.
        groups: Groups of the normalisation; divides every width.
        embedding: Length of a condition vector that is added to the time embedding, or 0 for none.
        dims: Spatial axes, 3, or 2 for the network of THOR and AutoDDPM.

    Raises:
        ValueError: If a width is not divisible by ``groups``, an input has other axes or channels than the
            network, there is no such scale, or a condition vector is missing, surplus or of another length.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022), as in MONAI.
        Diffusion Models with Implicit Guidance for Medical Anomaly Detection (THOR, Bercea et al., 2024) has
        channels [128, 256, 256], attention [1, 2], groups 32 and dims 2.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: Sequence[int] = (16, 32, 64),
        layers: int = 1,
        attention: bool | Sequence[int] = False,
        groups: int = 8,
        embedding: int = 0,
        dims: int = 3,
    ) -> None:
        super().__init__()
        check_widths(channels, groups, "UNet3D")
        check_width(embedding, "UNet3D")
        if dims not in (2, 3):
            raise ValueError(f"UNet3D expected dims 2 or 3, got {dims!r}")
        scales = list_scales(attention, len(channels), "UNet3D")
        # MONAI takes seconds to import, and 2-D users never need it
        from monai.networks.nets import DiffusionModelUNet

        self.unet = DiffusionModelUNet(
            spatial_dims=dims,
            in_channels=in_channels,
            out_channels=out_channels,
            channels=tuple(channels),
            num_res_blocks=layers,
            attention_levels=tuple(scale in scales for scale in range(len(channels))),
            num_head_channels=tuple(channels),
            norm_num_groups=groups,
            num_class_embeds=1 if embedding else None,
        )
        self.condition = make_embedding_layers(embedding, 4 * channels[0]) if embedding else None
        if embedding:  # MONAI looks classes up in a table, but adds any vector that comes out
            self.unet.class_embedding = nn.Identity()

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(2 ** (len(self.config.channels) - 1))

    def forward(self, x_t: Tensor, labels: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at diffusers indices ``labels`` (B,), given c (B, embedding)."""
        check_input(x_t, self.config.in_channels, self.config.dims, "UNet3D")
        check_embedding(embedding, self.config.embedding, len(x_t), "UNet3D")
        vector = embed(self.condition, embedding, self.dtype)
        return run_padded(lambda x: self.run_core(x.to(self.dtype), labels, vector), x_t, self.multiple)

    def run_core(self, x: Tensor, labels: Tensor, vector: Tensor | None = None) -> Tensor:
        """Run the U-Net alone, on ``x`` (B, C, *S), labels (B,) and vectors (B, D); see ``HasCore``."""
        answer: Tensor = self.unet(x, labels, class_labels=vector)
        return answer
