"""A network that never sees more than so many items at once, whatever a sampler stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffad.denoise import (
    marks_anomalies,
    network_conditions,
    null_label,
    takes_neighbours,
    takes_place,
    takes_whole,
)
from diffad.models.memory import Memory, try_smaller


class Chunked:
    """Evaluates a network part by part: memory stays bounded, and caches of a CPU are not overrun.

    Args:
        network: Called as ``network(x_t, labels, **cond)``, answering a tensor.
        size: Most items in one evaluation; halved where they do not fit into memory.
        memory: What is known of the memory of the device; nothing by default.

    Raises:
        ValueError: If ``size`` is below 1.
    """

    def __init__(self, network: Callable[..., Tensor], size: int, memory: Memory | None = None) -> None:
        if size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {size}")
        self.network, self.size, self.memory = network, size, memory or Memory()

    def __call__(self, x_t: Tensor, labels: Tensor, **cond: Any) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at ``labels`` (B,); conditions of length B are cut alike."""
        size = min(self.size, len(x_t))
        return try_smaller(lambda count: self._run(count, x_t, labels, **cond), size, self.memory)

    def _run(self, count: int, x_t: Tensor, labels: Tensor, **cond: Any) -> Tensor:
        batch = len(x_t)
        if batch <= count:
            return self.network(x_t, labels, **cond)
        parts = _split(batch, count)
        return torch.cat(
            [
                self.network(x_t[p], labels[p], **{k: _cut(v, p, batch) for k, v in cond.items()})
                for p in parts
            ]
        )

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what the network must know of ``image`` (B, C, *S) in [0, 1], chunk by chunk."""
        chunks = [network_conditions(self.network, image[p], mask[p]) for p in _split(len(image), self.size)]
        return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}

    @property
    def null(self) -> int | None:
        """Label of no class; none where the network takes no labels."""
        return null_label(self.network)

    @property
    def takes_place(self) -> bool:
        """Whether the network may be told the place of a slice in the brain."""
        return takes_place(self.network)

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own the network is shown."""
        return takes_neighbours(self.network)

    @property
    def takes_whole(self) -> bool:
        """Whether the network is shown the image noised everywhere beside its state."""
        return takes_whole(self.network)

    @property
    def marks(self) -> bool:
        """Whether the network marks anomalies in a channel of its own."""
        return marks_anomalies(self.network)


def _split(batch: int, count: int) -> list[slice]:
    return [slice(start, start + count) for start in range(0, batch, count)]


def _cut(value: Any, part: slice, batch: int) -> Any:
    per_item = isinstance(value, Tensor) and value.ndim > 0 and len(value) == batch
    return value[part] if per_item else value
