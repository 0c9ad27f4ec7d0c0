"""U-ViT: a transformer in which time and patches are tokens alike, with long skips."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import FeedForward
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from diffad.models.patches import fold_patches, unfold_patches
from diffad.models.tokens import (
    SPREAD,
    PatchTransformer,
    make_attention,
    resize_maps,
    spread_weights,
    to_maps,
    to_tokens,
)
from diffad.registry import MODELS


class UViTBlock(nn.Module):
    r"""Adds attention and a perceptron of four times the width to tokens, each of them normalised before.

    .. math:: h = W [h \,|\, s], \quad h \leftarrow h + \mathrm{MHSA}(\mathrm{LN}(h)), \quad
        h \leftarrow h + \mathrm{MLP}(\mathrm{LN}(h))

    Args:
        width: Length of a token.
        heads: Heads of the attention; divides the width.
        has_skip: Whether it takes the tokens :math:`s` of a block on the way in.
    """

    def __init__(self, width: int, heads: int, has_skip: bool = False) -> None:
        super().__init__()
        self.skip = nn.Linear(2 * width, width) if has_skip else None
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = make_attention(width, heads)
        self.perceptron = FeedForward(width, mult=4, activation_fn="gelu")

    def forward(self, tokens: Tensor, skip: Tensor | None = None) -> Tensor:
        """Answer for tokens (B, N, width), and as many of a skip where it takes one."""
        if self.skip is not None and skip is not None:
            tokens = self.skip(torch.cat([tokens, skip], 2))
        tokens = tokens + self.attention(self.norm_attention(tokens))
        answer: Tensor = tokens + self.perceptron(self.norm_perceptron(tokens))
        return answer


@MODELS.register("uvit")
class UViT(PatchTransformer):
    r"""Predicts noise, velocity or the image with U-ViT: time, condition and patches are tokens.

    The waves of the time are a token as they are, and so is a condition vector after two layers. The places
    of the patches are learned on a square grid and resized to that of the image.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it.
        out_channels: Channels of the answer.
        patch: Side of a patch, in pixels.
        width: Length of a token.
        depth: Blocks on the way in and out together, an even number; one more is between.
        heads: Heads of the attention; divides the width.
        grid: Side of the square grid of positions that are learned, that of training over the patch.
        embedding: Length of a condition vector, a token of its own, or 0 for none.
        place: Take the place of a slice in the brain, its orientation and position (B, 2), as a condition,
            which is added to the token of the time.
        place_drop: Chance in training that the place of an item is forgotten, as it may be unknown in use.
        marks: Answer one channel more, the logit of a voxel that is not healthy, see ``corrupt.mark``.
        neighbours: Slices below and above the one it answers for that are shown beside it, noised alike, see
            ``space.neighbours``.

    Raises:
        ValueError: If options do not fit each other, an input has other axes or channels than the network,
            or a condition is missing, surplus or of another length.

    Reference:
        All are Worth Words: A ViT Backbone for Diffusion Models (Bao et al., CVPR 2023), section 3.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        grid: int = 16,
        embedding: int = 0,
        place: bool = False,
        place_drop: float = 0.1,
        marks: bool = False,
        neighbours: int = 0,
    ) -> None:
        super().__init__()
        self.check_options()
        check_halves(depth, grid, "UViT")
        self.encoder = nn.ModuleList(UViTBlock(width, heads) for _ in range(depth // 2))
        self.middle = UViTBlock(width, heads)
        self.decoder = nn.ModuleList(UViTBlock(width, heads, has_skip=True) for _ in range(depth // 2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, patch**2 * self.channels_answered)
        spread_weights(self)
        self.embed = nn.Linear(patch**2 * self.channels_seen, width)
        self.time_position = nn.Parameter(SPREAD * torch.randn(1, width))
        self.positions = nn.Parameter(SPREAD * torch.randn(1, width, grid, grid))
        self.add_conditions(width)
        self.out = nn.Conv2d(self.channels_answered, self.channels_answered, 3, padding=1)

    def answer_padded(
        self, x: Tensor, labels: Tensor, vector: Tensor | None, places: Tensor | None
    ) -> Tensor:
        """Answer for states (B, C, H, W) whose sides are multiples of a patch."""
        patches = fold_patches(x, self.config.patch)
        waves = get_timestep_embedding(
            labels, self.config.width, flip_sin_to_cos=True, downscale_freq_shift=0
        )
        time = waves.to(self.dtype) if places is None else waves.to(self.dtype) + places
        positions = resize_maps(self.positions, patches.shape[2:]).expand(len(x), -1, -1, -1)
        answer: Tensor = self.out(
            unfold_patches(self.run_core(patches, time, positions, vector), self.config.patch)
        )
        return answer

    def run_core(self, x: Tensor, time: Tensor, positions: Tensor, vector: Tensor | None = None) -> Tensor:
        """Run the blocks alone, on patches, tokens (B, D) and positions (B, D, h, w); see ``HasCore``."""
        extra_tokens = [time + self.time_position, *([] if vector is None else [vector])]
        patch_tokens = self.embed(to_tokens(x)) + to_tokens(positions)
        tokens = torch.cat([*(token[:, None] for token in extra_tokens), patch_tokens], 1)
        skips = []
        for block in self.encoder:
            tokens = block(tokens)
            skips.append(tokens)
        tokens = self.middle(tokens)
        for block in self.decoder:
            tokens = block(tokens, skips.pop())
        return to_maps(self.head(self.norm(tokens))[:, len(extra_tokens) :], x.shape[2:])


def check_halves(depth: int, grid: int, name: str) -> None:
    """Refuse blocks that cannot be halved, and a grid without positions.

    Raises:
        ValueError: If ``depth`` is no even number, or ``grid`` is below 1.
    """
    if depth % 2:
        raise ValueError(f"{name} expected an even depth, half of it on the way in and out, got {depth}")
    if grid < 1:
        raise ValueError(f"{name} expected grid of at least 1, got {grid}")
