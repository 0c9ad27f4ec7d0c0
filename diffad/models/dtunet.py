"""DTUNet: a U of transformer blocks that see neighbouring patches, and add the time as a map of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from diffad.models.dynamic import NORMS, AggregatingPerceptron, HeadInteractedAttention, PatchStem
from diffad.models.patches import unfold_patches
from diffad.models.tokens import SPREAD, PatchTransformer, resize_maps, spread_weights, to_maps, to_tokens
from diffad.models.uvit import check_halves
from diffad.registry import MODELS

PATCHES = (2, 4, 8, 16)


class DTUNetBlock(nn.Module):
    r"""Adds to tokens a bias by the time, attention and a perceptron, the latter two of normalised tokens.

    .. math:: h = W [h \,|\, s], \quad h_n \leftarrow h_n + b_n(t), \quad
        h \leftarrow h + \mathrm{HIMHSA}(\mathrm{LN}(h)), \quad h \leftarrow h + \mathrm{DAFF}(\mathrm{LN}(h))

    The bias is one number for each token, the same for all channels.

    Args:
        width: Length of a token.
        heads: Heads of the attention; divides the width.
        grid: Side of the square grid of patches that biases are learned for.
        norm: "group" or "batch".
        has_skip: Whether it takes the tokens :math:`s` of a block on the way in.
    """

    def __init__(self, width: int, heads: int, grid: int, norm: str, has_skip: bool = False) -> None:
        super().__init__()
        self.grid = grid
        self.skip = nn.Linear(2 * width, width) if has_skip else None
        self.time = nn.Linear(4 * grid**2, 1 + grid**2)
        self.norm_attention, self.norm_perceptron = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = HeadInteractedAttention(width, heads)
        self.perceptron = AggregatingPerceptron(width, norm)

    def forward(
        self, tokens: Tensor, time: Tensor, grid: Sequence[int], skip: Tensor | None = None
    ) -> Tensor:
        """Answer for tokens (B, 1 + h w, width) of a ``grid`` of h by w patches at the times (B, T)."""
        if self.skip is not None and skip is not None:
            tokens = self.skip(torch.cat([tokens, skip], 2))
        tokens = tokens + self.compute_bias(time, grid)
        tokens = tokens + self.attention(self.norm_attention(tokens))
        answer: Tensor = tokens + self.perceptron(self.norm_perceptron(tokens), grid)
        return answer

    def compute_bias(self, time: Tensor, grid: Sequence[int]) -> Tensor:
        """Return the bias of each token, (B, 1 + h w, 1); those of patches are resized to the ``grid``."""
        biases = self.time(F.gelu(time))
        maps = biases[:, 1:].reshape(-1, 1, self.grid, self.grid)
        return torch.cat([biases[:, :1, None], to_tokens(resize_maps(maps, grid))], 1)


@MODELS.register("dtunet")
class DTUNet(PatchTransformer):
    r"""Predicts noise, velocity or the image with a dynamic transformer U-Net.

    Convolutions make tokens of patches, one learned token goes with them, and blocks on the way out take the
    tokens of those on the way in, the last first. Tokens have no positions but by convolutions and biases:
    the time adds one number to each token in each block, learned for a square grid and resized to that
    of the image.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it.
        out_channels: Channels of the answer.
        patch: Side of a patch, in pixels: 2, 4, 8 or 16.
        width: Length of a token; divisible by 4, by half the patch, and by the heads.
        depth: Blocks on the way in and out together, an even number; one more is between.
        heads: Heads of the attention.
        grid: Side G of the square grid of biases, that of training over the patch; the time has
            :math:`4 G^2` entries.
        norm: Normalisation of maps: "group", by item, or "batch" as published, which knows other items in
            training.
        embedding: Length of a condition vector that is added to the time after two layers, or 0 for none.
        place: Take the place of a slice in the brain, its orientation and position (B, 2), as a condition,
            which is added to the time.
        place_drop: Chance in training that the place of an item is forgotten, as it may be unknown in use.
        marks: Answer one channel more, the logit of a voxel that is not healthy, see ``corrupt.mark``.
        neighbours: Slices below and above the one it answers for that are shown beside it, noised alike, see
            ``space.neighbours``.

    Raises:
        ValueError: If options do not fit each other, an input has other axes or channels than the network,
            or a condition is missing, surplus or of another length.

    Reference:
        Self-Supervised Anomaly Segmentation via Diffusion Models with Dynamic Transformer UNet (Kumar et
        al., WACV 2025), as its published code has it.
    """

    limits: ClassVar = {"grid": 64}

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        patch: int = 16,
        width: int = 768,
        depth: int = 6,
        heads: int = 6,
        grid: int = 16,
        norm: str = "group",
        embedding: int = 0,
        place: bool = False,
        place_drop: float = 0.1,
        marks: bool = False,
        neighbours: int = 0,
    ) -> None:
        super().__init__()
        self.check_options()
        check_halves(depth, grid, "DTUNet")
        _check(patch, width, norm)
        block = (width, heads, grid, norm)
        self.encoder = nn.ModuleList(DTUNetBlock(*block) for _ in range(depth // 2))
        self.middle = DTUNetBlock(*block)
        self.decoder = nn.ModuleList(DTUNetBlock(*block, has_skip=True) for _ in range(depth // 2))
        self.norm_out = nn.LayerNorm(width)
        self.head = nn.Linear(width, patch**2 * self.channels_answered)
        length = 4 * grid**2
        self.time = nn.Sequential(nn.Linear(grid**2, length), nn.GELU(), nn.Linear(length, length))
        spread_weights(self)
        self.token = nn.Parameter(SPREAD * torch.randn(1, 1, width))
        self.stem = PatchStem(self.channels_seen, width, patch, norm)
        self.add_conditions(length)
        self.out = nn.Conv2d(self.channels_answered, self.channels_answered, 3, padding=1)

    def answer_padded(
        self, x: Tensor, labels: Tensor, vector: Tensor | None, places: Tensor | None
    ) -> Tensor:
        """Answer for states (B, C, H, W) whose sides are multiples of a patch."""
        waves = get_timestep_embedding(labels, self.config.grid**2, downscale_freq_shift=0)
        time = self.time(waves.to(self.dtype))
        for more in (vector, places):
            time = time if more is None else time + more
        answer: Tensor = self.out(unfold_patches(self.run_core(x, time), self.config.patch))
        return answer

    def run_core(self, x: Tensor, time: Tensor) -> Tensor:
        """Run stem, blocks and head, on states (B, C, H, W) and times (B, T); see ``HasCore``."""
        maps = self.stem(x)
        grid = maps.shape[2:]
        tokens = torch.cat([self.token.expand(maps.shape[0], -1, -1), to_tokens(maps)], 1)
        skips = []
        for block in self.encoder:
            tokens = block(tokens, time, grid)
            skips.append(tokens)
        tokens = self.middle(tokens, time, grid)
        for block in self.decoder:
            tokens = block(tokens, time, grid, skips.pop())
        return to_maps(self.head(self.norm_out(tokens))[:, 1:], grid)


def _check(patch: int, width: int, norm: str) -> None:
    if patch not in PATCHES:
        raise ValueError(f"DTUNet expected patch to be 2, 4, 8 or 16, as its stem halves sides, got {patch}")
    if width % 4 or width % (patch // 2):
        raise ValueError(f"DTUNet expected width divisible by 4 and by half the patch {patch}, got {width}")
    if norm not in NORMS:
        raise ValueError(f"DTUNet expected norm to be one of {', '.join(NORMS)}, got {norm!r}")
