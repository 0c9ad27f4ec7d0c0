"""Layers of vision transformers that mix heads and neighbours: a stem, attention and a perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from diffad.models.tokens import SPREAD, make_attention, to_maps, to_tokens

GROUPS = 32
"""Most groups of the group normalisation; fewer where they do not divide a width."""
NORMS = ("group", "batch")


def make_norm(width: int, norm: str) -> nn.Module:
    """Return the normalisation of maps (B, width, h, w): "group", by item, or "batch", as published."""
    return nn.BatchNorm2d(width) if norm == "batch" else nn.GroupNorm(math.gcd(GROUPS, width), width)


class ChannelAffine(nn.Module):
    """Scales and shifts each channel of maps (B, C, *S); at first they stay as they are.

    Args:
        channels: Number of channels C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``x`` (B, C, h, w)."""
        return x * rearrange(self.scale, "c -> c 1 1") + rearrange(self.shift, "c -> c 1 1")


class PatchStem(nn.Sequential):
    """Turns an image into one vector for each patch, by convolutions that halve its sides (SOPE).

    Each halving doubles the width, up to that of a token; a patch of 16 takes four.

    Args:
        channels: Channels of the image.
        width: Length of a token; divisible by half the patch.
        patch: Side of a patch: 2, 4, 8 or 16.
        norm: "group" or "batch".

    Reference:
        Bridging the Gap Between Vision Transformers and Convolutional Neural Networks on Small Datasets
        (DHVT, Lu et al., NeurIPS 2022), section 3.1.
    """

    def __init__(self, channels: int, width: int, patch: int, norm: str) -> None:
        halvings = round(math.log2(patch))
        widths = [channels, *(width // 2**k for k in reversed(range(halvings)))]
        layers: list[nn.Module] = [ChannelAffine(channels)]
        for narrow, wide in pairwise(widths):
            convolution = nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False)
            layers += [convolution, make_norm(wide, norm), nn.GELU()]
        if patch > 2:  # only the shortest stem ends with an activation
            layers.pop()
        super().__init__(*layers, ChannelAffine(width))


class HeadInteractedAttention(nn.Module):
    r"""Attends to tokens and to one token more for each head, which sums the head's channels up (HI-MHSA).

    .. math:: u_k = \mathrm{GELU}(\mathrm{LN}(W \bar h_k + b)) + p_k, \quad
        [y, v] = \mathrm{MHSA}([h, u]), \quad y_0 \leftarrow y_0 + \mathrm{mean}_k(v_k)

    where :math:`\bar h_k` is the mean over tokens of the channels of head k, and LN normalises the channels
    of a head. The answer has no more tokens than the input; the first, that of the class, gets the mean of
    those of the heads.

    Args:
        width: Length of a token.
        heads: Heads; divides the width.

    Reference:
        DHVT (Lu et al., NeurIPS 2022), section 3.3.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, length = heads, width // heads
        self.project, self.norm = nn.Linear(length, width), nn.LayerNorm(length)
        self.positions = nn.Parameter(SPREAD * torch.randn(1, heads, width))
        self.attention = make_attention(width, heads)

    def forward(self, tokens: Tensor) -> Tensor:
        """Answer for tokens (B, N, width)."""
        answer: Tensor = self.attention(torch.cat([tokens, self.sum_heads_up(tokens)], 1))
        answer, head_tokens = answer[:, : -self.heads], answer[:, -self.heads :]
        return torch.cat([answer[:, :1] + head_tokens.mean(1, keepdim=True), answer[:, 1:]], 1)

    def sum_heads_up(self, tokens: Tensor) -> Tensor:
        """Return the tokens of the heads, (B, heads, width)."""
        means = tokens.mean(1).reshape(tokens.shape[0], self.heads, -1)
        parts = self.project(means).reshape(tokens.shape[0], self.heads, self.heads, -1)
        return F.gelu(self.norm(parts)).flatten(2) + self.positions


class AggregatingPerceptron(nn.Module):
    r"""A perceptron that looks at neighbouring patches; their mean scales the token of the class (DAFF).

    .. math:: m = a(W_1 h), \quad y = W_2 (m + a(K * m)), \quad
        y_0 = h_0 \odot (V_2 \, \mathrm{GELU}(V_1 \bar y))

    where a normalises before GELU, K is 3 x 3 and of each channel alone, and y is normalised at the end.

    Args:
        width: Length of a token; divisible by 4.
        norm: "group" or "batch".

    Reference:
        DHVT (Lu et al., NeurIPS 2022), section 3.2.
    """

    def __init__(self, width: int, norm: str) -> None:
        super().__init__()
        wide = 4 * width
        self.widen, self.norm_wide = nn.Conv2d(width, wide, 1), make_norm(wide, norm)
        self.mix, self.norm_mixed = nn.Conv2d(wide, wide, 3, padding=1, groups=wide), make_norm(wide, norm)
        self.narrow, self.norm_narrow = nn.Conv2d(wide, width, 1), make_norm(width, norm)
        self.squeeze, self.excite = nn.Linear(width, width // 4), nn.Linear(width // 4, width)

    def forward(self, tokens: Tensor, grid: Sequence[int]) -> Tensor:
        """Answer for tokens (B, 1 + h w, width), that of the class first, of a ``grid`` of h by w patches."""
        m = F.gelu(self.norm_wide(self.widen(to_maps(tokens[:, 1:], grid))))
        y = self.norm_narrow(self.narrow(m + F.gelu(self.norm_mixed(self.mix(m)))))
        gain = self.excite(F.gelu(self.squeeze(y.mean((2, 3)))))
        return torch.cat([tokens[:, :1] * gain[:, None], to_tokens(y)], 1)
