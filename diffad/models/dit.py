"""DiT: a transformer over patches whose normalisation is set by time and condition."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import FeedForward
from diffusers.models.embeddings import get_2d_sincos_pos_embed, get_timestep_embedding
from diffusers.models.normalization import AdaLayerNormZero
from torch import Tensor, nn

from diffad.models.blocks import zero_weights
from diffad.models.embedding import make_embedding_layers
from diffad.models.patches import fold_patches, unfold_patches
from diffad.models.tokens import SPREAD, PatchTransformer, make_attention, to_maps, to_tokens
from diffad.registry import MODELS

WAVES = 256
"""Length of the waves of the time."""
EPSILON = 1e-6


class DiTBlock(nn.Module):
    r"""Adds attention and a perceptron to tokens, scaled, shifted and gated by a vector c (adaLN-Zero).

    .. math:: h \leftarrow h + g_1 \, \mathrm{MHSA}((1 + s_1) \mathrm{LN}(h) + b_1), \quad
        h \leftarrow h + g_2 \, \mathrm{MLP}((1 + s_2) \mathrm{LN}(h) + b_2)

    where s, b and g are linear in SiLU(c), and 0 at first: an untrained block changes nothing.

    Args:
        width: Length of a token, and of c.
        heads: Heads of the attention; divides the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.modulate = AdaLayerNormZero(width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=EPSILON)
        self.attention = make_attention(width, heads, bias=True)
        self.perceptron = FeedForward(width, mult=4, activation_fn="gelu-approximate")

    def forward(self, tokens: Tensor, vector: Tensor) -> Tensor:
        """Answer for tokens (B, N, width) and vectors c (B, width)."""
        normalised_tokens, gate_attention, shift, scale, gate = self.modulate(tokens, emb=vector)
        tokens = tokens + gate_attention[:, None] * self.attention(normalised_tokens)
        normalised_tokens = self.norm(tokens) * (1 + scale[:, None]) + shift[:, None]
        answer: Tensor = tokens + gate[:, None] * self.perceptron(normalised_tokens)
        return answer


@MODELS.register("dit")
class DiT(PatchTransformer):
    r"""Predicts noise, velocity or the image with DiT, whose blocks are set by :math:`c = e_t + e_c + e_p`.

    Time, condition vector and place are added up. The places of the patches are waves of their row and
    column, as if a square grid were stretched over the image. The answer of an untrained network is 0.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it.
        out_channels: Channels of the answer.
        patch: Side of a patch, in pixels.
        width: Length of a token; divisible by 4, and by the heads.
        depth: Blocks.
        heads: Heads of the attention.
        grid: Side of the square grid that is stretched over the image, that of training over the patch.
        embedding: Length of a condition vector, or 0 for none.
        place: Take the place of a slice in the brain, its orientation and position (B, 2), as a condition.
        place_drop: Chance in training that the place of an item is forgotten, as it may be unknown in use.
        marks: Answer one channel more, the logit of a voxel that is not healthy, see ``corrupt.mark``.
        neighbours: Slices below and above the one it answers for that are shown beside it, noised alike, see
            ``space.neighbours``.

    Raises:
        ValueError: If options do not fit each other, an input has other axes or channels than the network,
            or a condition is missing, surplus or of another length.

    Reference:
        Scalable Diffusion Models with Transformers (Peebles and Xie, ICCV 2023), section 3.2.
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
        if width % 4 or grid < 1:
            raise ValueError(f"DiT expected width divisible by 4 and grid >= 1, got {width} and {grid}")
        self.embed = nn.Linear(patch**2 * self.channels_seen, width)
        self.time = make_embedding_layers(WAVES, width)
        self.add_conditions(width)
        self.blocks = nn.ModuleList(DiTBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=EPSILON)
        self.modulate = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, patch**2 * self.channels_answered)
        self._begin()

    def _begin(self) -> None:
        """Draw weights as published: blocks and head begin at zero."""
        linear_layers = [m for m in self.blocks.modules() if isinstance(m, nn.Linear)]
        for layer in [self.embed, *linear_layers]:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for weights in self.time.parameters():
            if weights.ndim == 2:
                nn.init.normal_(weights, std=SPREAD)
        for module in self.blocks.modules():
            if isinstance(module, AdaLayerNormZero):
                zero_weights(module.linear)
        zero_weights(self.modulate)
        zero_weights(self.head)

    def answer_padded(
        self, x: Tensor, labels: Tensor, vector: Tensor | None, places: Tensor | None
    ) -> Tensor:
        """Answer for states (B, C, H, W) whose sides are multiples of a patch."""
        patches = fold_patches(x, self.config.patch)
        waves = get_timestep_embedding(labels, WAVES, flip_sin_to_cos=True, downscale_freq_shift=0)
        time = self.time(waves.to(self.dtype))
        for part in (vector, places):
            time = time if part is None else time + part
        positions = self.place_patches(patches.shape[2:]).expand(len(x), -1, -1, -1)
        return unfold_patches(self.run_core(patches, time, positions), self.config.patch)

    def place_patches(self, grid: Sequence[int]) -> Tensor:
        """Return the waves (1, D, h, w) of the rows and columns of a grid of h and w patches."""
        sides, base = (grid[0], grid[1]), self.config.grid
        waves = get_2d_sincos_pos_embed(self.config.width, sides, base_size=base, device=self.device)
        return to_maps(waves[None].to(self.dtype), grid)

    def run_core(self, x: Tensor, time: Tensor, positions: Tensor) -> Tensor:
        """Run the blocks alone, on patches, vectors (B, D) and positions (B, D, h, w); see ``HasCore``."""
        tokens = self.embed(to_tokens(x)) + to_tokens(positions)
        for block in self.blocks:
            tokens = block(tokens, time)
        shift, scale = self.modulate(F.silu(time)).chunk(2, dim=1)
        tokens = self.head(self.norm(tokens) * (1 + scale[:, None]) + shift[:, None])
        return to_maps(tokens, x.shape[2:])
