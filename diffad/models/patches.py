"""Blocks of pixels folded into channels, and back, for 2-D and 3-D alike."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

# positions i, j, k of patches with sides p, q, r
_PIXELS = {2: "b c (i p) (j q)", 3: "b c (i p) (j q) (k r)"}
_POSITIONS = {2: "b (c p q) i j", 3: "b (c p q r) i j k"}


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
    return rearrange(x, f"{_PIXELS[axes]} -> {_POSITIONS[axes]}", **_name_sides(patch, axes))


def unfold_patches(x: Tensor, patch: int) -> Tensor:
    """Undo ``fold_patches``: channels become blocks of pixels again."""
    axes = x.ndim - 2
    return rearrange(x, f"{_POSITIONS[axes]} -> {_PIXELS[axes]}", **_name_sides(patch, axes))


def _name_sides(patch: int, axes: int) -> dict[str, int]:
    return dict.fromkeys("pqr"[:axes], patch)
