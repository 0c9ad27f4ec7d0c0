"""Transformers over square patches of a slice: what all of them check, and how patches are tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from diffad.models.slices import SliceNetwork

SPREAD = 0.02
"""Standard deviation of weights at first, of vision transformers."""


class PatchTransformer(SliceNetwork):
    """What networks of slices share whose state is cut into patches, each a token.

    Besides those of a ``SliceNetwork``, it has the options ``width``, ``depth`` and ``heads``.
    """

    def check_options(self) -> None:
        """Refuse options that do not fit each other.

        Raises:
            ValueError: With what was expected and found.
        """
        self.check_conditions()
        config, name = self.config, type(self).__name__
        for option in ("width", "depth", "heads"):
            if config[option] < 1:
                raise ValueError(f"{name} expected {option} of at least 1, got {config[option]}")
        if config.width % config.heads:
            raise ValueError(f"{name} expected width divisible by heads = {config.heads}, got {config.width}")


def make_attention(width: int, heads: int, bias: bool = False) -> Attention:
    """Return self-attention of diffusers over tokens (B, N, width), by torch's fused kernel."""
    return Attention(width, heads=heads, dim_head=width // heads, bias=bias)


def to_tokens(maps: Tensor) -> Tensor:
    """Turn maps (B, D, h, w) into tokens (B, h w, D), row by row."""
    return maps.flatten(2).transpose(1, 2)


def to_maps(tokens: Tensor, grid: Sequence[int]) -> Tensor:
    """Turn tokens (B, h w, D) into maps (B, D, h, w) of a ``grid`` of h rows and w columns."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *grid)


def resize_maps(maps: Tensor, grid: Sequence[int]) -> Tensor:
    """Resize maps (B, D, G, G), learned on a square grid, to any grid; on their own they stay the same."""
    return F.interpolate(maps, size=list(grid), mode="bilinear")


@torch.no_grad()
def spread_weights(module: nn.Module) -> None:
    """Begin the linear layers of ``module`` with small normal weights, cut off at 2, and without bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=SPREAD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
