"""The 2-D denoising network: a diffusers U-Net over square patches of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffusers import UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.padding import check_widths, list_scales
from diffad.models.patches import fold_patches, unfold_patches
from diffad.models.slices import SliceNetwork
from diffad.registry import MODELS


@MODELS.register("unet2d")
class UNet2D(SliceNetwork):
    """Predicts noise, velocity or the image with the U-Net of diffusers, attention at its coarsest scale.

    With ``patch`` above 1 each patch x patch block of pixels becomes one position with patch^2 times the
    channels: the same width costs patch^2 times less, and no pixel is lost.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it.
        out_channels: Channels of the answer.
        channels: Width at each scale, finest first.
        layers: Residual blocks per scale.
        patch: Side of the blocks of pixels that are folded into channels.
        attention: Whether the coarsest scale has self-attention, or the scales that do on the way "down" and
            "up", as a mapping of lists, 0 the finest. So has the middle, unless it is false.
        groups: Groups of the normalisation; divides every width.
        dropout: Share of activations dropped in training.
        embedding: Length of a condition vector that is added to the time embedding, or 0 for none.
        film: Scale and shift the residual blocks by the embedding, after their normalisation; otherwise it is
            added before, where it has no effect on a block of as many groups as channels.
        head_channels: Channels of a head of the attention; 0 takes 32 where they divide the coarsest width.
        place: Take the place of a slice in the brain, its orientation and position (B, 2), as a condition.
        marks: Answer one channel more, the logit of a voxel that is not healthy; it is trained beside the
            rest where slices are corrupted and restored, see ``corrupt.mark``.
        place_drop: Chance in training that the place of an item is forgotten, as it may be unknown in use.
        neighbours: Slices below and above the one it answers for that are shown beside it, noised alike, see
            ``space.neighbours``.
        silent: Begin with an answer of 0 everywhere, and so with marks of one half.

    Raises:
        ValueError: If a width is not divisible by ``groups``, an input has other axes or channels than the
            network, there is no such scale, or a condition vector is missing, surplus or of another length.

    Reference:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), appendix B; patches as in
        simple diffusion (Hoogeboom et al., 2023), section 3.2.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: Sequence[int] = (32, 64, 96, 128),
        layers: int = 2,
        patch: int = 1,
        attention: bool | Mapping[str, Sequence[int]] = True,
        groups: int = 8,
        dropout: float = 0.0,
        embedding: int = 0,
        film: bool = False,
        head_channels: int = 0,
        place: bool = False,
        place_drop: float = 0.1,
        marks: bool = False,
        neighbours: int = 0,
        silent: bool = False,
    ) -> None:
        super().__init__()
        check_widths(channels, groups, "UNet2D")
        self.check_conditions()
        down, up = _list_attention(attention, len(channels))
        default_head = 32 if channels[-1] % 32 == 0 else groups
        self.unet = UNet2DModel(
            in_channels=self.channels_seen * patch**2,
            out_channels=self.channels_answered * patch**2,
            block_out_channels=tuple(channels),
            layers_per_block=layers,
            down_block_types=tuple(f"{prefix}DownBlock2D" for prefix in down),
            up_block_types=tuple(f"{prefix}UpBlock2D" for prefix in reversed(up)),
            add_attention=bool(attention),
            attention_head_dim=head_channels or default_head,
            norm_num_groups=groups,
            dropout=dropout,
            class_embed_type="identity" if embedding or place else None,
            resnet_time_scale_shift="scale_shift" if film else "default",
        )
        self.add_conditions(4 * channels[0])
        if silent:
            for weight in self.unet.conv_out.parameters():
                nn.init.zeros_(weight)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(self.config.patch * 2 ** (len(self.config.channels) - 1))

    def answer_padded(
        self, x: Tensor, labels: Tensor, vector: Tensor | None, places: Tensor | None
    ) -> Tensor:
        """Answer for states (B, C, H, W) whose sides are multiples of a patch at the coarsest scale."""
        if places is not None:
            vector = places if vector is None else vector + places
        patches = self.run_core(fold_patches(x, self.config.patch), labels, vector)
        return unfold_patches(patches, self.config.patch)

    def run_core(self, x: Tensor, labels: Tensor, vector: Tensor | None = None) -> Tensor:
        """Run the U-Net alone, on patches (B, C, H, W), labels (B,) and vectors (B, D); see ``HasCore``."""
        answer: Tensor = self.unet(x, labels, vector, return_dict=False)[0]
        return answer


def _list_attention(attention: bool | Mapping[str, Sequence[int]], count: int) -> list[list[str]]:
    """Return the prefixes of the names of blocks on the way down and up, finest first."""
    if not isinstance(attention, bool) and set(attention) != {"down", "up"}:
        raise ValueError(f"UNet2D expected attention true, false or scales down and up, got {attention!r}")
    lists = [attention] * 2 if isinstance(attention, bool) else [attention["down"], attention["up"]]
    scales = [list_scales(places, count, "UNet2D") for places in lists]
    return [["Attn" if scale in places else "" for scale in range(count)] for places in scales]
