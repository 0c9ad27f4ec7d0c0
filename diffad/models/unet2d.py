"""The 2-D denoising network: a diffusers U-Net over square patches of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diffusers import ConfigMixin, ModelMixin, UNet2DModel
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.embedding import check_embedding, check_width, embed, make_embedding_layers
from diffad.models.neighbours import join_neighbours
from diffad.models.padding import check_input, check_widths, list_scales, run_padded
from diffad.models.patches import check_patch, fold_patches, unfold_patches
from diffad.models.place import drop_places, encode_places, make_place_layers
from diffad.registry import MODELS


@MODELS.register("unet2d")
class UNet2D(ModelMixin, ConfigMixin):
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
        check_patch(patch, "UNet2D")
        check_width(embedding, "UNet2D")
        if neighbours < 0:
            raise ValueError(f"UNet2D expected neighbours of at least 0, got {neighbours}")
        if not 0 <= place_drop <= 1:
            raise ValueError(f"UNet2D expected place_drop in [0, 1], got {place_drop}")
        down, up = _list_attention(attention, len(channels))
        default_head = 32 if channels[-1] % 32 == 0 else groups
        self.unet = UNet2DModel(
            in_channels=(1 + 2 * neighbours) * in_channels * patch**2,
            out_channels=(out_channels + marks) * patch**2,
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
        self.condition = make_embedding_layers(embedding, 4 * channels[0]) if embedding else None
        self.place_layers = make_place_layers(4 * channels[0]) if place else None
        if silent:
            for weight in self.unet.conv_out.parameters():
                nn.init.zeros_(weight)

    @property
    def marks(self) -> bool:
        """Whether the last channel of its answer says how likely a voxel is not healthy."""
        return bool(self.config.marks)

    @property
    def takes_place(self) -> bool:
        """Whether it may be told the place of a slice in the brain."""
        return self.place_layers is not None

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own it is shown."""
        return int(self.config.neighbours)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(self.config.patch * 2 ** (len(self.config.channels) - 1))

    def forward(
        self,
        x_t: Tensor,
        labels: Tensor,
        embedding: Tensor | None = None,
        place: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, H, W) at the diffusers indices ``labels`` (B,).

        Args:
            x_t: State.
            labels: Level less 1.
            embedding: Condition vectors, (B, embedding), where the network takes them.
            place: Orientation and position of each slice, (B, 2), see ``diffad.data.place``; none where not
                known.
            neighbours: Slices below and above each, noised alike, (B, 2 N C, H, W), if it takes them.
        """
        check_input(x_t, self.config.in_channels, 2, "UNet2D")
        check_embedding(embedding, self.config.embedding, len(x_t), "UNet2D")
        vector = self._embed(embedding, place, len(x_t))
        state = join_neighbours(x_t, neighbours, self.config.neighbours, "UNet2D")
        return run_padded(lambda x: self._run_unet(x, labels, vector), state, self.multiple)

    def _embed(self, embedding: Tensor | None, place: Tensor | None, batch: int) -> Tensor | None:
        """Return what is added to the time embedding, or none of a network without conditions."""
        vector = embed(self.condition, embedding, self.dtype)
        if self.place_layers is None:
            if place is not None:
                raise ValueError("UNet2D expected no place, as it was built with place = false, got one")
            return vector
        place = drop_places(place, self.config.place_drop) if self.training else place
        places: Tensor = self.place_layers(encode_places(place, batch, next(self.place_layers.parameters())))
        return places if vector is None else vector + places

    def _run_unet(self, x: Tensor, labels: Tensor, vector: Tensor | None) -> Tensor:
        patches = fold_patches(x, self.config.patch).to(self.dtype)
        return unfold_patches(self.run_core(patches, labels, vector), self.config.patch)

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
