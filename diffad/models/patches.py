"""Blocks of pixels folded into channels, and back, for 2-D and 3-D alike."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

_APART = {2: "b c (i p) (j q)", 3: "b c (i p) (j q) (k r)"}
_FOLDED = {2: "b (c p q) i j", 3: "b (c p q r) i j k"}


def check_patch(patch: int, name: str) -> None:
    """Refuse patches without a side.

    Raises:
        ValueError: If ``patch`` is below 1.
    """
    if patch < 1:
        raise ValueError(f"{name} expected patch of at least 1, got {patch}")


def fold_patches(x: Tensor, patch: int) -> Tensor:
    """Turn each block of patch^d pixels of ``x`` (B, C, *S) into one position of patch^d C channels."""
    axes = x.ndim - 2
    return rearrange(x, f"{_APART[axes]} -> {_FOLDED[axes]}", **_sides(patch, axes))


def unfold_patches(x: Tensor, patch: int) -> Tensor:
    """Undo ``split_tasks``: channels become blocks of pixels again."""
    axes = x.ndim - 2
    return rearrange(x, f"{_FOLDED[axes]} -> {_APART[axes]}", **_sides(patch, axes))


def _sides(patch: int, axes: int) -> dict[str, int]:
    return dict.fromkeys("pqr"[:axes], patch)
