"""Masks on another grid than the map, brought to it when asked."""

from __future__ import annotations

import numpy as np

from diffad.data.volume import Volume, VolumeError, require_same_grid


def resample_mask(mask: Volume, like: Volume, warnings: list[str]) -> Volume:
    """Return a mask on the grid of a map, each voxel with the value nearest to its centre; 0 outside.

    Args:
        mask: The mask, in RAS.
        like: The map, in RAS.
        warnings: What is done is added.

    Raises:
        VolumeError: If the two do not overlap.
    """
    from scipy.ndimage import affine_transform

    try:
        require_same_grid(mask, like)
        return mask
    except VolumeError:
        pass
    move = np.linalg.inv(mask.affine) @ like.affine
    shape = like.data.shape[1:]
    channels = [affine_transform(c, move[:3, :3], move[:3, 3], shape, order=0) for c in mask.data]
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    ends = corners @ move[:3, :3].T + move[:3, 3]
    if (ends.max(0) < 0).any() or (ends.min(0) > np.array(mask.data.shape[1:]) - 1).any():
        raise VolumeError(f"{mask.path}: expected a mask that overlaps {like.path}, found none of it there")
    warnings.append(f"{mask.path}: resampled to the grid of {like.path}, to the nearest voxel")
    return Volume(np.stack(channels), like.affine, mask.origin)
