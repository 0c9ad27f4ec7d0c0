"""Sizes and channels a U-Net accepts, for 2-D and 3-D alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def check_widths(channels: Sequence[int], groups: int, name: str) -> None:
    """Refuse widths that group normalisation cannot divide.

    Raises:
        ValueError: If there is no width, or one is not a positive multiple of ``groups``.
    """
    if not channels or groups < 1 or any(c < 1 or c % groups for c in channels):
        raise ValueError(f"{name} expected widths divisible by groups = {groups}, got {list(channels)}")


def list_scales(attention: bool | Sequence[int], count: int, name: str) -> list[int]:
    """List the scales that have self-attention, 0 the finest; true means the coarsest of all ``count``.

    Raises:
        ValueError: If there is no such scale.
    """
    if isinstance(attention, bool):
        return [count - 1] * attention
    if any(isinstance(s, bool) or not isinstance(s, int) or not 0 <= s < count for s in attention):
        raise ValueError(f"{name} expected scales of attention in 0..{count - 1}, got {list(attention)}")
    return list(attention)


def pad_to_multiple(x: Tensor, multiple: int) -> tuple[Tensor, tuple[slice, ...]]:
    """Pad the spatial axes evenly on both sides until a network of that stride can halve them.

    The pad repeats the border, noise and all, so that no edge appears where the scan has none.

    Args:
        x: Images, (B, C, *S).
        multiple: Number that each spatial length shall be a multiple of.

    Returns:
        The padded images, and the slices that ``crop_back`` undoes it with.

    Raises:
        ValueError: If ``multiple`` is not positive or ``x`` has no spatial axes.
    """
    if multiple < 1 or x.ndim < 3:
        shape = tuple(x.shape)
        raise ValueError(f"expected x (B, C, *S) and multiple >= 1, got shape {shape} and {multiple}")
    totals = [-n % multiple for n in x.shape[2:]]
    starts = [n // 2 for n in totals]
    # F.pad counts from the last axis.
    pads = [p for start, n in zip(starts[::-1], totals[::-1], strict=True) for p in (start, n - start)]
    crop = tuple(slice(start, start + n) for start, n in zip(starts, x.shape[2:], strict=True))
    return F.pad(x, pads, mode="replicate") if any(totals) else x, crop


def crop_back(x: Tensor, crop: tuple[slice, ...]) -> Tensor:
    """Undo ``pad_to_multiple`` on images (B, C, *S) of any channel count."""
    return x[(slice(None), slice(None), *crop)]


def run_padded(network: Callable[[Tensor], Tensor], x: Tensor, multiple: int) -> Tensor:
    """Run ``network`` on ``x`` (B, C, *S) padded up to a multiple, and crop its answer back."""
    padded_image, crop = pad_to_multiple(x, multiple)
    return crop_back(network(padded_image), crop)
