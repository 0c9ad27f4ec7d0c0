"""The mask of what is to be filled: brought to the grid of the scan, checked, and grown in mm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from diffad.data.mask_values import list_odd_values
from diffad.data.volume import Array, Volume, VolumeError, require_same_grid

MAX_SHARE = 0.5
"""Most of a brain that may be filled: with less context there is nothing to fill it from."""
MAX_BEYOND = 0.01
"""Most of a mask that may lie outside the field of view of its scan."""
MIN_BRAIN_SHARE = 0.5
"""Least of a mask that lies in the brain."""


@dataclass(frozen=True)
class FillRegion:
    """Where a scan is filled.

    Args:
        lesion: The mask as it was given, on the grid of the scan, (I, J, K), bool.
        fill_mask: The mask, grown, in the brain: what is filled, (I, J, K), bool.
        brain: The brain with the lesion and without holes, (I, J, K), bool.
        warnings: What a reader should know of the mask.
    """

    lesion: Array
    fill_mask: Array
    brain: Array
    warnings: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of the brain that is filled."""
        return float(self.fill_mask.sum() / self.brain.sum())


def read_lesion(source: str | Path | Volume | Array, like: Volume) -> tuple[Array, list[str]]:
    """Read a lesion mask on the grid of a scan, (I, J, K), bool, and say what is odd about it.

    A mask on another grid is brought to it by nearest neighbour; what lies above .5 is lesion.

    Args:
        source: File, volume, or an array on the grid of the scan.
        like: The scan.

    Raises:
        VolumeError: If the mask is empty, holds labels or intensities, or leaves the field of view.
    """
    if isinstance(source, np.ndarray):
        if source.shape != like.data.shape[1:]:
            shapes = f"{like.data.shape[1:]}, found {source.shape}"
            raise VolumeError(f"{like.name}: expected a lesion mask on its grid {shapes}")
        mask = Volume(source[None], like.affine)
    elif isinstance(source, Volume):
        mask = source
    else:
        mask = Volume.load(source, allow_constant=True, options=like.options)
    notes = list(mask.warnings)
    name = mask.name if mask.path else "the lesion mask"
    if len(mask.data) != 1:
        raise VolumeError(f"{name}: expected a mask of one channel, found {len(mask.data)}")
    _check_values(mask.data[0], name)
    on_grid = _resample(mask, like, name, notes)
    if not on_grid.any():
        hint = "it is thinner than the voxels of the scan"
        raise VolumeError(f"{name}: expected a mask with voxels in {like.name}, found none; {hint}")
    return on_grid, notes


def plan_region(lesion: Array, brain: Array, volume: Volume, dilate_mm: float) -> FillRegion:
    """Grow a lesion mask within the brain, which has the lesion and no holes.

    Args:
        lesion: Lesion mask, (I, J, K), bool.
        brain: Brain mask, (I, J, K), bool; a tumour may be missing from it.
        volume: The scan.
        dilate_mm: How far the mask grows, in mm.

    Raises:
        VolumeError: If the mask lies outside the brain, or covers too much of it.
    """
    whole = np.asarray(ndimage.binary_fill_holes(brain))
    brain_share = float((lesion & whole).sum() / lesion.sum())
    if brain_share < MIN_BRAIN_SHARE:
        hint = "is it of another person? A brain mask with the lesion in it goes with --mask"
        raise VolumeError(
            f"{volume.name}: expected a lesion mask in its brain, found {1 - brain_share:.0%} outside; {hint}"
        )
    full = np.asarray(ndimage.binary_fill_holes(whole | lesion))
    fill_mask = lesion | (measure_distance(lesion, volume) <= dilate_mm) & full
    region = FillRegion(lesion, fill_mask, full)
    if region.share > MAX_SHARE:
        raise VolumeError(
            f"{volume.name}: expected a lesion mask that leaves brain to fill it from, found one that covers "
            f"{region.share:.0%} of the brain, grown by {dilate_mm:g} mm; at most {MAX_SHARE:.0%} are filled"
        )
    return region


def measure_distance(mask: Array, volume: Volume) -> Array:
    """Return the distance of each voxel outside a mask to its nearest voxel, in mm, (I, J, K)."""
    distance: Array = ndimage.distance_transform_edt(~mask, sampling=volume.spacing)
    return distance


def _check_values(values: Array, name: str) -> None:
    """Refuse what is no mask: nothing, labels, or intensities."""
    levels = np.unique(values)
    if levels[-1] <= 0 or levels[-1] <= 0.5:
        content = "an empty mask" if levels[-1] <= 0 else f"none above {levels[-1]:g}"
        raise VolumeError(f"{name}: expected a lesion mask with values above 0.5, found {content}")
    binary = (len(levels) <= 2 and levels[0] == 0) or len(levels) == 1
    if binary or (levels[0] >= 0 and levels[-1] <= 1):
        return
    whole = bool((levels % 1 == 0).all()) and levels[0] >= 0 and len(levels) <= 256
    kind = "several labels" if whole else "values that are no mask"
    raise VolumeError(
        f"{name}: expected one mask of 0 and 1, found {kind} ({list_odd_values(levels)}); "
        "write the lesion alone into a mask"
    )


def _resample(mask: Volume, like: Volume, name: str, notes: list[str]) -> Array:
    lesion = mask.data[0] > (0.5 if mask.data.max() <= 1 else 0)
    try:
        notes += require_same_grid(mask, like)
        return np.asarray(lesion)
    except VolumeError:
        pass
    shape = np.array(like.data.shape[1:])
    back = np.linalg.inv(like.affine) @ mask.affine
    points = np.argwhere(lesion) @ back[:3, :3].T + back[:3, 3]
    beyond = float(((points < -0.5) | (points > shape - 0.5)).any(1).mean())
    if beyond > MAX_BEYOND:
        raise VolumeError(
            f"{name}: expected a mask in the field of view of {like.name}, found {beyond:.0%} of it outside"
        )
    move = np.linalg.inv(back)
    on_grid = ndimage.affine_transform(
        lesion.astype(np.uint8), move[:3, :3], move[:3, 3], tuple(shape), order=0, mode="grid-constant"
    )
    notes.append(f"{name}: resampled to the grid of {like.name}, to the nearest voxel")
    return np.asarray(on_grid > 0)
