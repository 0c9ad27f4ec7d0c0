"""What all scores share: a checked pair of images, their slices as pictures, and a map inside the mask."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from diffad.capabilities import PlainRun as PlainRun
from diffad.capabilities import begin_run as begin_run
from diffad.capabilities import wants_records as wants_records
from diffad.types import Reconstruction

_PICTURES = {4: "b c h w -> (b c) h w", 5: "b c h w k -> (b c k) h w"}
_IMAGES = {4: "(b c) h w -> b c h w", 5: "(b c k) h w -> b c h w k"}


def pair_images(x: Tensor, restoration: Reconstruction) -> tuple[Tensor, Tensor]:
    """Check the scan against its reconstruction and return both, in single precision at least."""
    x_hat = restoration.image
    if x.ndim not in (4, 5):
        raise ValueError(f"expected x of shape (B, C, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}")
    if x.shape != x_hat.shape:
        raise ValueError(
            f"expected restoration.image of shape {tuple(x.shape)} like x, got {tuple(x_hat.shape)}"
        )
    dtype = torch.promote_types(torch.promote_types(x.dtype, x_hat.dtype), torch.float32)
    return x.to(dtype), x_hat.to(dtype)


def require_spread(restoration: Reconstruction, name: str) -> Tensor:
    """Return how several reconstructions differ, (B, C, *S); refuse a single one, for the score ``name``."""
    if restoration.std is None:
        raise ValueError(
            f"expected restoration.std for score {name!r}, got none: a sampler that makes "
            "several estimates gives it, such as 'ensemble', 'levels' or 'oneshot' with more than one"
        )
    return restoration.std


def average_inside(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Average (B, C, *S) over the channels and set it to zero outside the mask."""
    scores = scores.mean(1, keepdim=True)
    if mask is None:
        return scores
    if mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    return scores.masked_fill(~mask.bool(), 0)


def to_pictures(x: Tensor) -> Tensor:
    """Lay out ``x`` (B, C, *S) as pictures (N, H, W), cut along the last of three axes."""
    return rearrange(x, _PICTURES[x.ndim])


def from_pictures(pictures: Tensor, like: Tensor) -> Tensor:
    """Undo ``to_pictures`` for maps (N, H, W): return them shaped as ``like``, (B, C, *S)."""
    sizes = {"b": like.shape[0], "c": like.shape[1]} | ({"k": like.shape[4]} if like.ndim == 5 else {})
    return rearrange(pictures, _IMAGES[like.ndim], **sizes)
