"""Where the brain is: non-zero voxels of skull-stripped scans, or a mask on disk."""

from __future__ import annotations

import os
from typing import TypeVar

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from diffad.data.volume import Array, Source, Volume, VolumeError, require_same_grid

ArrayOrTensor = TypeVar("ArrayOrTensor", Array, Tensor)


def brain_mask(data: ArrayOrTensor) -> ArrayOrTensor:
    """Mark the voxels that are non-zero in any channel, and whatever they enclose.

    Meant for skull-stripped scans, whose background is exactly zero. Holes are filled item by item,
    in the plane for slices.

    Args:
        data: A batch (B, C, *S) if it is a tensor, one scan (C, *S) if it is an array.

    Returns:
        Boolean mask, (B, 1, *S) or (1, *S); empty where ``data`` is zero.

    Raises:
        ValueError: If there are not two or three spatial axes.
    """
    spatial = data.ndim - (2 if isinstance(data, Tensor) else 1)
    if spatial not in (2, 3):
        raise ValueError(
            f"expected a tensor (B, C, *S) or an array (C, *S) with 2 or 3 spatial axes, "
            f"got {type(data).__name__} of shape {tuple(data.shape)}"
        )
    if isinstance(data, Tensor):
        nonzero = (data != 0).any(1).cpu().numpy()
        masks = np.stack([_fill_holes(item) for item in nonzero]) if len(nonzero) else nonzero
        return torch.from_numpy(masks)[:, None].to(data.device)
    return _fill_holes((data != 0).any(0))[None]


def resolve_mask(mask: Source | Array | Tensor, like: Volume) -> Array:
    """Return the mask of a scan, (I, J, K) in RAS, boolean, from a file or an array.

    Args:
        mask: NIfTI file, or an array or tensor (I, J, K); voxels above zero are inside.
        like: Scan the mask belongs to.

    Raises:
        VolumeError: If a file is unusable, or an array has another shape.
    """
    if isinstance(mask, str | os.PathLike):
        return load_mask(mask, like)
    array = np.asarray(mask) > 0
    if array.shape != like.data.shape[1:]:
        raise VolumeError(f"{like.name}: expected a mask {like.data.shape[1:]}, got shape {array.shape}")
    return array


def load_mask(path: Source, like: Volume) -> Array:
    """Read a brain or lesion mask that lies on the grid of a scan.

    Args:
        path: NIfTI file; voxels above zero are inside.
        like: Scan the mask belongs to.

    Returns:
        Boolean mask (I, J, K) in RAS, as ``like.data``.

    Raises:
        VolumeError: If the file is unusable, on another grid, of several channels, or nothing is inside.
    """
    volume = Volume.load(os.fspath(path), allow_constant=True, options=like.options)
    require_same_grid(volume, like)
    if len(volume.data) != 1:
        raise VolumeError(f"{path}: expected a mask of one channel, found {len(volume.data)} channels")
    mask: Array = volume.data[0] > 0
    if not mask.any():
        raise VolumeError(f"{path}: expected a mask with voxels above zero, found an empty mask")
    return mask


def _fill_holes(mask: Array) -> Array:
    # One labelling of the background; what is not joined to the rim is a hole.
    background = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndimage.label(background)
    enclosure: Array = labels != labels[(0,) * mask.ndim]
    return np.ascontiguousarray(enclosure[(slice(1, -1),) * mask.ndim])
