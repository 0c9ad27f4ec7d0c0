"""A transformer whose decoder asks by learned queries, and which never looks at the neighbours of a cell."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QueryTransformer(nn.Module):
    """Rebuilds tokens of a grid from tokens farther away.

    An encoder of layers with attention; a decoder of as many, each of which has a query of its own for each
    cell, asks the encoder and then the layer before. Places are learned for rows and columns.

    Args:
        features: Numbers F of a token.
        grid: Side of the grid.
        width: Width inside, even, a multiple of the heads.
        heads: Heads of the attention.
        layers: Layers of the encoder, and as many of the decoder.
        inner_width: Width of the layers beside the attention.
        reach: Width of the window around a cell that it may not look at.
        dropout: Share of numbers that are left out in training.

    Raises:
        ValueError: If the width is odd or no multiple of the heads.

    Reference:
        A Unified Model for Multi-class Anomaly Detection (You et al., NeurIPS 2022), section 3.
    """

    block_mask: Tensor

    def __init__(
        self,
        features: int,
        grid: int,
        width: int = 256,
        heads: int = 8,
        layers: int = 4,
        inner_width: int = 1024,
        reach: int = 7,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if min(width, heads, layers, inner_width) < 1 or width % 2 or width % heads:
            raise ValueError(f"expected an even width that is a multiple of heads, got {width} and {heads}")
        self.into, self.out = nn.Linear(features, width), nn.Linear(width, features)
        self.rows = nn.Parameter(torch.empty(grid, width // 2))
        self.columns = nn.Parameter(torch.empty(grid, width // 2))
        options = (width, heads, inner_width, dropout)
        self.encoder = nn.ModuleList(EncoderLayer(*options) for _ in range(layers))
        self.decoder = nn.ModuleList(DecoderLayer(grid * grid, *options) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # follows from the options, so that no folder need hold it
        self.register_buffer("block_mask", block_neighbours(grid, reach), persistent=False)
        for weights in self.parameters():
            if weights.ndim > 1:
                nn.init.xavier_uniform_(weights)
        nn.init.uniform_(self.rows)
        nn.init.uniform_(self.columns)

    def forward(self, tokens: Tensor) -> Tensor:
        """Rebuild ``tokens`` (B, N, F)."""
        grid = len(self.rows)
        place = torch.cat(
            [self.columns.expand(grid, -1, -1), self.rows[:, None].expand(-1, grid, -1)], 2
        ).flatten(0, 1)
        x = self.into(tokens)
        for layer in self.encoder:
            x = layer(x, place, self.block_mask)
        code = x
        for layer in self.decoder:
            x = layer(code, x, place, self.block_mask)
        y: Tensor = self.out(self.norm(x))
        return y


class Attention(nn.MultiheadAttention):
    """Attention that says only what was found, (B, N, width)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout, batch_first=True)

    def look(self, query: Tensor, key: Tensor, value: Tensor, block_mask: Tensor) -> Tensor:
        """Answer each query by the values whose keys are not masked for it."""
        answer: Tensor = self(query, key, value, attn_mask=block_mask, need_weights=False)[0]
        return answer


class Ending(nn.Module):
    """The layers beside the attention, with shortcut and normalisation."""

    def __init__(self, width: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, inner_width), nn.Linear(inner_width, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, width)."""
        y = self.second(self.dropout(F.relu(self.first(x))))
        z: Tensor = self.norm(x + self.dropout(y))
        return z


class EncoderLayer(nn.Module):
    """Attention of tokens to one another, and layers beside it; normalised behind each."""

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.norm = Attention(width, heads, dropout), nn.LayerNorm(width)
        self.dropout, self.ending = nn.Dropout(dropout), Ending(width, inner_width, dropout)

    def forward(self, x: Tensor, place: Tensor, block_mask: Tensor) -> Tensor:
        """Return (B, N, width) for tokens ``x`` at places (N, width)."""
        key = x + place
        x = self.norm(x + self.dropout(self.attention.look(key, key, x, block_mask)))
        y: Tensor = self.ending(x)
        return y


class DecoderLayer(nn.Module):
    """A learned query of each cell that asks the encoder, and then the layer before."""

    def __init__(self, cells: int, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(cells, width))
        self.code, self.before = Attention(width, heads, dropout), Attention(width, heads, dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.dropout, self.ending = nn.Dropout(dropout), Ending(width, inner_width, dropout)

    def forward(self, code: Tensor, before: Tensor, place: Tensor, block_mask: Tensor) -> Tensor:
        """Return (B, N, width) for what the encoder and the layer ``before`` say."""
        x = self.query.expand(len(code), -1, -1)
        for attention, norm, source in zip((self.code, self.before), self.norms, (code, before), strict=True):
            x = norm(x + self.dropout(attention.look(x + place, source + place, source, block_mask)))
        y: Tensor = self.ending(x)
        return y


def block_neighbours(grid: int, reach: int) -> Tensor:
    """Say which cells a cell may not look at: those in a window around it, (N, N), bool."""
    axis = torch.arange(grid)
    cells = torch.cartesian_prod(axis, axis)
    return (cells[:, None] - cells).abs().amax(2) <= reach // 2
