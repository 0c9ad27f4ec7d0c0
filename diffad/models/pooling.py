"""Heads that sum all positions of a feature map up in one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from einops import pack, rearrange, reduce
from torch import Tensor, nn

from diffad.models.blocks import Blocks

POOLS = ("mean", "max", "attention")
_LINEAR = {2: "bilinear", 3: "trilinear"}


class SinglePool(nn.Module):
    r"""A linear map of the mean over positions, :math:`W \, \mathrm{mean}_u \, h_u + b`, or of the maximum.

    A lesion is small: the mean over an image dilutes what a single position shows, the maximum does not.

    Args:
        width: Channels in.
        out: Entries out.
        how: "mean" or "max".
    """

    def __init__(self, width: int, out: int, how: Literal["mean", "max"] = "mean") -> None:
        super().__init__()
        self.out = nn.Linear(width, out)
        self.how = how

    def forward(self, h: Tensor) -> Tensor:
        """Map ``h`` (B, width, *S) to (B, out)."""
        answer: Tensor = self.out(reduce(h, "b c ... -> b c", self.how))
        return answer


class AttentionPool(nn.Module):
    r"""Attention from the mean of all positions to them and to itself.

    .. math:: W_o \, \mathrm{softmax}(q_0 k^\top / \sqrt{d}) \, v + b_o, \quad
        (q, k, v) = W \, ([\bar h, h_1, \dots, h_N] + p) + b

    Args:
        width: Channels in.
        out: Entries out.
        heads: Heads, each with :math:`d` = width / heads channels.
        grid: Positions along each axis that :math:`p` is learned for; it is interpolated for others.

    Reference:
        Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021),
        section 2.4.
    """

    def __init__(self, width: int, out: int, heads: int, grid: Sequence[int]) -> None:
        super().__init__()
        self.heads = heads
        self.whole = nn.Parameter(torch.randn(width, 1) / width**0.5)
        self.places = nn.Parameter(torch.randn(width, *grid) / width**0.5)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, out)

    def forward(self, h: Tensor) -> Tensor:
        """Map ``h`` (B, width, *S) to (B, out)."""
        mean = reduce(h, "b c ... -> b c 1", "mean") + self.whole
        tokens, _ = pack([mean, h + self._fit_places(h)], "b c *")
        q, k, v = rearrange(
            self.qkv(rearrange(tokens, "b c n -> b n c")), "b n (a h c) -> a b h n c", a=3, h=self.heads
        )
        attention = F.scaled_dot_product_attention(q[:, :, :1], k, v)
        answer: Tensor = self.out(rearrange(attention, "b h 1 c -> b (h c)"))
        return answer

    def _fit_places(self, h: Tensor) -> Tensor:
        if self.places.shape[1:] == h.shape[2:]:
            return self.places
        return F.interpolate(self.places[None], h.shape[2:], mode=_LINEAR[h.ndim - 2], align_corners=False)[0]


def check_pool(pool: str, grid: Sequence[int], dims: int) -> None:
    """Refuse an unknown pool, and a grid that attention cannot be built for.

    Raises:
        ValueError: If the pool is unknown, or the grid is not ``dims`` lengths of 1 or more.
    """
    if pool not in POOLS:
        raise ValueError(f"expected pool of {', '.join(POOLS)}, got {pool!r}")
    if pool == "attention" and (len(grid) != dims or any(n < 1 for n in grid)):
        raise ValueError(f"expected a grid of {dims} lengths of 1 or more, got {list(grid)}")


def build_pool(pool: str, width: int, out: int, grid: Sequence[int], blocks: Blocks) -> nn.Module:
    """Return the head ``pool`` from ``width`` channels to ``out`` entries, with the heads of ``blocks``."""
    if pool in ("mean", "max"):
        return SinglePool(width, out, cast(Literal["mean", "max"], pool))
    return AttentionPool(width, out, blocks.make_attention(width).heads, grid)
