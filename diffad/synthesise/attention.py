"""What each pixel of a text-to-image network looks at: its cross-attention, with gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

PIXELS = 256
"""Pixels of a map that is read: 16 x 16, where words are seen most clearly (Chefer et al., 2023)."""


class AttentionStore:
    """Keeps the probabilities of the cross-attention layers of one call of a network."""

    def __init__(self) -> None:
        self._probs: list[Tensor] = []

    def add(self, probs: Tensor) -> None:
        """Keep the probabilities (b h, pixels, tokens) of a layer."""
        self._probs.append(probs)

    def clear(self) -> None:
        """Forget the last call."""
        self._probs.clear()

    def read(self, batch: int) -> Tensor:
        """Return the mean over heads and layers of the size nearest to 16 x 16, (B, side, side, tokens).

        Args:
            batch: Number B of images of the call.

        Raises:
            ValueError: If no layer was heard of, or its pixels are no square.
        """
        maps = self.list_maps(batch)
        sides = math.isqrt(maps[0].shape[2]) if maps else 0
        if not maps or sides**2 != maps[0].shape[2]:
            raise ValueError("expected a network with cross-attention over a square image, found none")
        mean = torch.cat(maps, 1).float().mean(1)
        return rearrange(mean, "b (y x) l -> b y x l", y=sides)

    def list_maps(self, batch: int) -> list[Tensor]:
        """Return the probabilities of each layer of that size, (B, heads, pixels, tokens)."""
        sizes = {probs.shape[1] for probs in self._probs}
        if not sizes:
            return []
        size = min(sizes, key=lambda count: (abs(math.log(count / PIXELS)), -count))
        return [rearrange(p, "(b h) n l -> b h n l", b=batch) for p in self._probs if p.shape[1] == size]


@contextmanager
def record_attention(network: Any) -> Iterator[AttentionStore]:
    """Keep the cross-attention of every call of a diffusers network until the end of the block.

    The layers compute what they always do, with explicit probabilities; afterwards they are as before.

    Args:
        network: A ``UNet2DConditionModel``.
    """
    from diffusers.models.attention_processor import Attention, AttnProcessor

    store, layers = AttentionStore(), []
    for layer in network.modules():
        if isinstance(layer, Attention) and layer.is_cross_attention:
            layers.append((layer, layer.processor))
            layer.set_processor(AttnProcessor())
            layer.get_attention_scores = _record_scores(layer.get_attention_scores, store)
    try:
        yield store
    finally:
        for layer, processor in layers:
            del layer.get_attention_scores
            layer.set_processor(processor)


def _record_scores(find_scores: Any, store: AttentionStore) -> Any:
    def find_and_keep(*arguments: Any, **options: Any) -> Tensor:
        probs: Tensor = find_scores(*arguments, **options)
        store.add(probs)
        return probs

    return find_and_keep
