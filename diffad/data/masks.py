"""Where the brain is: non-zero voxels of skull-stripped scans, or a mask on disk."""

from __future__ import annotations

import os
from typing import TypeVar

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from diffad.data.mask_values import cut_mask
from diffad.data.volume import Array, Source, Volume, VolumeError, require_same_grid
from diffad.data.zero import find_border

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


def find_stripped_brain(data: Array) -> tuple[Array, list[str]]:
    """Mark the brain of a skull-stripped scan (C, I, J, K), and say what is odd about its background.

    The background is 0, or another constant on all faces of the scan, as after an offset or a scaling.

    Returns:
        Boolean mask, (I, J, K), and warnings.
    """
    border = find_border(data)
    if not any(border):
        return brain_mask(data)[0], []
    brain = brain_mask(data - np.array(border, data.dtype).reshape(-1, 1, 1, 1))[0]
    values = ", ".join(f"{v:g}" for v in border)
    warnings = [f"its background is {values}, not 0; whatever differs from it counts as brain"]
    if any(value > np.percentile(x[brain], 99) for value, x in zip(border, data, strict=True) if brain.any()):
        warnings.append("its background is brighter than its brain, as with an inverted contrast")
    return brain, warnings


def resolve_mask(
    mask: Source | Array | Tensor | Volume, like: Volume, threshold: float | None = None
) -> tuple[Array, list[str]]:
    """Return the brain mask of a scan, (I, J, K) in RAS, boolean, from a file or an array, and warnings.

    Args:
        mask: NIfTI file, a volume on the grid of the scan, or an array or tensor (I, J, K).
        like: Scan the mask belongs to.
        threshold: What lies above it is brain; none takes that of the scan's options, else 0, or .5 of
            probabilities.

    Raises:
        VolumeError: If a file is unusable, an array has another shape, or nothing is inside.
    """
    if isinstance(mask, str | os.PathLike | Volume):
        name = mask.name if isinstance(mask, Volume) else str(mask)
        values, warnings = _load_values(mask, like)
    else:
        name, values, warnings = like.name, np.asarray(mask), []
        if values.shape != like.data.shape[1:]:
            expectation = f"a mask {like.data.shape[1:]}, got shape {values.shape}"
            raise VolumeError(f"{like.name}: expected {expectation}")
    threshold = like.options.mask_threshold if threshold is None else threshold
    inside, value_warnings = cut_mask(values, threshold, name)
    if not inside.any() and threshold is not None:
        raise VolumeError(
            f"{name}: expected a mask with voxels above the mask threshold of {threshold:g}, "
            f"found values from {values.min():g} to {values.max():g}"
        )
    if not inside.any() and isinstance(mask, str | os.PathLike):
        raise VolumeError(f"{name}: expected a mask with voxels above zero, found an empty mask")
    return inside, warnings + value_warnings


def load_mask(path: Source | Volume, like: Volume) -> Array:
    """Read a brain or lesion mask that lies on the grid of a scan.

    Args:
        path: NIfTI file, or a volume that was read already; voxels above zero are inside.
        like: Scan the mask belongs to.

    Returns:
        Boolean mask (I, J, K) in RAS, as ``like.data``.

    Raises:
        VolumeError: If the file is unusable, on another grid, of several channels, or nothing is inside.
    """
    mask = _load_values(path, like)[0] > 0
    if not mask.any():
        raise VolumeError(f"{path}: expected a mask with voxels above zero, found an empty mask")
    return np.asarray(mask)


def _load_values(path: Source | Volume, like: Volume) -> tuple[Array, list[str]]:
    """Read the values of a mask (I, J, K), and what is odd about its file and its grid."""
    if isinstance(path, Volume):
        volume, path = path, path.name
    else:
        volume = Volume.load(os.fspath(path), allow_constant=True, options=like.options)
    grid_warnings = require_same_grid(volume, like)
    if len(volume.data) != 1:
        raise VolumeError(f"{path}: expected a mask of one channel, found {len(volume.data)} channels")
    return volume.data[0], [*volume.warnings, *grid_warnings]


def _fill_holes(mask: Array) -> Array:
    # One labelling of the background; what is not joined to the rim is a hole.
    background = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndimage.label(background)
    enclosure: Array = labels != labels[(0,) * mask.ndim]
    return np.ascontiguousarray(enclosure[(slice(1, -1),) * mask.ndim])
