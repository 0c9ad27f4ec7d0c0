"""What all scores share: a checked pair of images, and a map that ends at the mask."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.capabilities import PlainRun as PlainRun
from diffad.capabilities import begin_run as begin_run
from diffad.capabilities import wants_records as wants_records
from diffad.types import Reconstruction


def pair_images(x: Tensor, restoration: Reconstruction) -> tuple[Tensor, Tensor]:
    """Check the scan against its twin and return both, in single precision at least."""
    x_hat = restoration.image
    if x.ndim not in (4, 5):
        raise ValueError(f"expected x of shape (B, C, *S) with 2 or 3 spatial axes, got {tuple(x.shape)}")
    if x.shape != x_hat.shape:
        raise ValueError(
            f"expected restoration.image of shape {tuple(x.shape)} like x, got {tuple(x_hat.shape)}"
        )
    dtype = torch.promote_types(torch.promote_types(x.dtype, x_hat.dtype), torch.float32)
    return x.to(dtype), x_hat.to(dtype)


def mean_inside(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Average (B, C, *S) over the channels and set it to zero outside the mask."""
    scores = scores.mean(1, keepdim=True)
    if mask is None:
        return scores
    if mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    return scores.masked_fill(~mask.bool(), 0)
