"""The one number that a map is pooled to."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from diffad.registry import unknown_name
from diffad.threshold.rules import select_values


def pool_maps(scores: Tensor, mask: Tensor | None = None, how: str = "mean", k: float = 0.01) -> Tensor:
    r"""Pool each map to one image score, inside the mask.

    .. math:: \text{topk} = \text{mean of the } \lceil k N \rceil \text{ highest of } N \text{ scores}

    Args:
        scores: Anomaly maps, (B, 1, *S).
        mask: Brain masks, (B, 1, *S).
        how: One of mean, max and topk.
        k: Share of the pixels that topk averages, in (0, 1].

    Returns:
        Image scores, (B,).

    Raises:
        UnknownNameError: If there is no such pooling.
        ValueError: If ``k`` is out of range, the shapes differ, or a mask is empty.
    """
    if how not in POOLINGS:
        raise unknown_name("pooling", how, list(POOLINGS))
    if not 0 < k <= 1:
        raise ValueError(f"expected k in (0, 1], got {k}")
    if mask is not None and mask.shape != scores.shape:
        raise ValueError(f"expected mask of shape {tuple(scores.shape)}, got {tuple(mask.shape)}")
    masks = [None] * len(scores) if mask is None else mask
    image_scores = [POOLINGS[how](select_values(item, m), k) for item, m in zip(scores, masks, strict=True)]
    return torch.stack(image_scores)


def _average_highest(values: Tensor, k: float) -> Tensor:
    return values.topk(math.ceil(k * len(values))).values.mean()


POOLINGS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "mean": lambda values, k: values.mean(),
    "max": lambda values, k: values.max(),
    "topk": _average_highest,
}
