"""A middle of a U-Net whose attention also looks at a map from elsewhere."""

from __future__ import annotations

import torch.nn.functional as F
from einops import pack, rearrange, unpack
from torch import Tensor, nn

from diffad.models.blocks import Blocks, make_conv, zero_weights


class ContextStage(nn.Module):
    """Two residual blocks with a transformer between them that sees a context.

    Args:
        blocks: Builds the residual blocks, and says how many heads there are.
        width: Channels of the map, and of the context.
    """

    def __init__(self, blocks: Blocks, width: int) -> None:
        super().__init__()
        self.first, self.last = blocks.make_residual(width, width), blocks.make_residual(width, width)
        heads = blocks.make_attention(width).heads  # checks that they divide the width
        self.transformer = ContextTransformer(blocks.dims, width, heads, blocks.groups)

    def forward(self, x: Tensor, emb: Tensor, context: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) to its like, given ``emb`` (B, E) and ``context`` (B, width, *S)."""
        h: Tensor = self.last(self.transformer(self.first(x, emb), context), emb)
        return h


class ContextTransformer(nn.Module):
    r"""Self-attention, attention to a context and two layers, added to what was there; at first nothing is.

    Args:
        dims: Spatial axes, 2 or 3.
        width: Channels.
        heads: Heads of both attentions.
        groups: Groups of the normalisation.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022), appendix E.2.1.
    """

    def __init__(self, dims: int, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width)
        self.enter = make_conv(dims, width, width, kernel=1)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.to_self, self.to_context = (TokenAttention(width, heads) for _ in range(2))
        self.widen, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)
        self.leave = zero_weights(make_conv(dims, width, width, kernel=1))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map ``x`` (B, width, *S) to its like, given ``context`` (B, width, *S)."""
        tokens, shape = pack([rearrange(self.enter(self.norm(x)), "b c ... -> b ... c")], "b * c")
        context_tokens = rearrange(context, "b c ... -> b (...) c")
        query = self.norms[0](tokens)
        tokens = tokens + self.to_self(query, query)
        tokens = tokens + self.to_context(self.norms[1](tokens), context_tokens)
        value, gate = self.widen(self.norms[2](tokens)).chunk(2, dim=-1)
        (y,) = unpack(tokens + self.narrow(value * F.gelu(gate)), shape, "b * c")
        answer: Tensor = x + self.leave(rearrange(y, "b ... c -> b c ..."))
        return answer


class TokenAttention(nn.Module):
    """Lets tokens look at tokens, with as many channels on both sides.

    Args:
        width: Channels.
        heads: Heads; divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """Map ``tokens`` (B, n, width) that look at ``others`` (B, m, width) to (B, n, width)."""
        triple = (self.q(tokens), self.k(others), self.v(others))
        q, k, v = (rearrange(values, "b n (h c) -> b h n c", h=self.heads) for values in triple)
        attention = F.scaled_dot_product_attention(q, k, v)
        answer: Tensor = self.out(rearrange(attention, "b h n c -> b n (h c)"))
        return answer
