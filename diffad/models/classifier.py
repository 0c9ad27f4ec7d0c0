"""The network that tells diseased from healthy images at every level of noise: half a U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from diffad.models.blocks import Blocks, Stage, halve, make_conv
from diffad.models.embedding import make_embedding_layers
from diffad.models.padding import check_input, check_widths, pad_to_multiple
from diffad.models.patches import check_patch, fold_patches
from diffad.models.pooling import build_pool, check_pool
from diffad.registry import MODELS


@MODELS.register("classifier")
class Classifier(ModelMixin, ConfigMixin):
    r"""Says of a noisy image what class it is of: the way down of a U-Net, and a head.

    .. math:: \log p(y \mid x_t, t) = \log \mathrm{softmax}(f(x_t, t))_y

    The time embedding is that of the level t, so that a clean image, whose label is -1, has one too.

    Args:
        in_channels: Channels C of the state.
        classes: Number K of classes; class 0 is healthy.
        channels: Width at each scale, finest first.
        layers: Residual blocks per scale.
        patch: Side of the blocks of pixels that are folded into one position.
        groups: Groups of the normalisation; divides every width.
        attention: Whether the coarsest scale and what follows it have self-attention; or the downsampling
            factors, counted in positions, of all scales that have it, and what follows has it then, too.
        dims: Spatial axes, 2 or 3.
        pool: "mean" or "max" over positions, or "attention" from their mean to all of them, knowing where
            they are.
        dropout: Share of activations dropped in training.
        heads: Heads of the attention, where ``head_channels`` is 0.
        head_channels: Channels of a head, or 0.
        grid: Positions of the coarsest scale along each axis that "attention" is built for; on others what it
            learned of them is interpolated.

    Raises:
        ValueError: If options do not fit each other, or an input has other axes or channels.

    Reference:
        Diffusion Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), section 4; of scans in
        Diffusion Models for Medical Anomaly Detection (Wolleb et al., 2022).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        channels: Sequence[int] = (32, 64, 128),
        layers: int = 2,
        patch: int = 1,
        groups: int = 8,
        attention: bool | Sequence[int] = True,
        dims: int = 2,
        pool: str = "mean",
        dropout: float = 0.0,
        heads: int = 4,
        head_channels: int = 0,
        grid: Sequence[int] = (8, 8),
    ) -> None:
        super().__init__()
        check_widths(channels, groups, "Classifier")
        check_patch(patch, "Classifier")
        _check(in_channels, classes, layers, dims)
        check_pool(pool, grid, dims)
        width, last = channels[0], channels[-1]
        attention_flags = _flag_attention(attention, len(channels))
        blocks = Blocks(dims, 4 * width, True, groups, dropout, heads, head_channels)
        self.time = make_embedding_layers(width, 4 * width)
        self.stem = make_conv(dims, in_channels * patch**dims, width)
        self.down = _build_way_down(blocks, channels, layers, attention_flags)
        attention_blocks = [blocks.make_attention(last)] if any(attention_flags) else []
        self.bottom = Stage(
            [blocks.make_residual(last, last), *attention_blocks, blocks.make_residual(last, last)]
        )
        self.norm = nn.GroupNorm(groups, last)
        self.head = build_pool(pool, last, classes, grid, blocks)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(self.config.patch * 2 ** (len(self.config.channels) - 1))

    def forward(self, x_t: Tensor, labels: Tensor) -> Tensor:
        """Return logits (B, K) in single precision.

        Args:
            x_t: State in [-1, 1], (B, C, *S).
            labels: Level less 1, (B,); -1 for clean images.
        """
        check_input(x_t, self.config.in_channels, self.config.dims, "Classifier")
        padded_image, _ = pad_to_multiple(x_t, self.multiple)
        width = self.config.channels[0]
        waves = get_timestep_embedding(labels + 1, width, flip_sin_to_cos=True, downscale_freq_shift=0)
        emb = self.time(waves.to(self.dtype))
        h = self.stem(fold_patches(padded_image, self.config.patch).to(self.dtype))
        for stage in (*self.down, self.bottom):
            h = stage(h, emb)
        logits: Tensor = self.head(F.silu(self.norm(h)))
        return logits.float()


def _check(in_channels: int, classes: int, layers: int, dims: int) -> None:
    if dims not in (2, 3):
        raise ValueError(f"Classifier expected dims of 2 or 3, got {dims}")
    if classes < 2:
        raise ValueError(f"Classifier expected classes of at least 2, got {classes}")
    if in_channels < 1 or layers < 1:
        raise ValueError(f"Classifier expected in_channels and layers >= 1, got {in_channels} and {layers}")


def _flag_attention(attention: bool | Sequence[int], scales: int) -> list[bool]:
    """Tell of each scale whether it has self-attention."""
    factors = [2**level for level in range(scales)]
    if isinstance(attention, bool):
        return [attention and factor == factors[-1] for factor in factors]
    # A factor that the network never reaches would silently be no attention at all.
    if not set(attention) <= set(factors):
        raise ValueError(f"Classifier expected attention at some of {factors}, got {list(attention)}")
    return [factor in attention for factor in factors]


def _build_way_down(
    blocks: Blocks, channels: Sequence[int], layers: int, attention_flags: list[bool]
) -> nn.ModuleList:
    """Return one stage for each scale, which ends where the next begins."""
    stages, width, last = nn.ModuleList(), channels[0], len(channels) - 1
    for level, out in enumerate(channels):
        parts: list[nn.Module] = []
        for n in range(layers):
            parts.append(blocks.make_residual(out if n else width, out))
            parts += [blocks.make_attention(out)] if attention_flags[level] else []
        parts += [blocks.make_residual(out, out, halve)] if level < last else []
        stages.append(Stage(parts))
        width = out
    return stages
