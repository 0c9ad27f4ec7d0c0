"""Sizes and channels a U-Net accepts, for 2-D and 3-D alike."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def check_input(x: Tensor, channels: int, axes: int, name: str) -> None:
    """Refuse what the network was not built for.

    Raises:
        ValueError: If ``x`` is not (B, channels, *S) with ``axes`` spatial axes.
    """
    if x.ndim != axes + 2 or x.shape[1] != channels:
        shape = "(B, C, " + ", ".join("IJK"[:axes]) + ")"
        raise ValueError(f"{name} expected {shape} with C = {channels}, got {tuple(x.shape)}")


def with_padding(network: Callable[[Tensor], Tensor], x: Tensor, multiple: int) -> Tensor:
    """Run ``network`` on ``x`` (B, C, *S) padded up to a multiple, and crop its answer back.

    The pad repeats the border, so that no edge appears where the scan has none.
    """
    missing = [-size % multiple for size in x.shape[2:]]
    if not any(missing):
        return network(x)
    pad = [n for m in reversed(missing) for n in (m // 2, m - m // 2)]
    y = network(F.pad(x, pad, mode="replicate"))
    for axis, (size, m) in enumerate(zip(x.shape[2:], missing, strict=True), start=2):
        y = y.narrow(axis, m // 2, size)
    return y
