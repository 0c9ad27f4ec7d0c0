"""Scores that know flat pictures only: every channel of every slice of every item is one."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

_FLAT = {4: "b c h w -> (b c) h w", 5: "b c h w k -> (b c k) h w"}
_WHOLE = {4: "(b c) h w -> b c h w", 5: "(b c k) h w -> b c h w k"}


def to_pictures(x: Tensor) -> Tensor:
    """Lay out ``x`` (B, C, *S) as pictures (N, H, W), cut along the last of three axes."""
    return rearrange(x, _FLAT[x.ndim])


def from_pictures(flat: Tensor, like: Tensor) -> Tensor:
    """Undo ``to_pictures`` for maps (N, H, W): return them shaped as ``like``, (B, C, *S)."""
    sizes = {"b": like.shape[0], "c": like.shape[1]} | ({"k": like.shape[4]} if like.ndim == 5 else {})
    return rearrange(flat, _WHOLE[like.ndim], **sizes)
