"""One scan, read with its brain mask and cut into raw slices; the same in training and in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from diffad.data.grid import mask_centre
from diffad.data.masks import find_stripped_brain, resolve_mask
from diffad.data.neighbours import NeighbourSlices, find_neighbours
from diffad.data.oddities import list_oddities
from diffad.data.place import SlicePlace, find_places
from diffad.data.slices import slice_spacing, to_slices
from diffad.data.volume import Array, Source, Volume, VolumeError


@dataclass(frozen=True)
class ScanSlices:
    """The slices of one scan, or the whole volume, before they are placed in the model's space.

    Args:
        image: Raw intensities, (N, C, *S).
        brain: Brain mask, (N, 1, *S), bool.
        keys: Position of each slice in the volume, counted in RAS.
        spacing: Pixel size (row, column) in mm, where known.
        centre: Raw position (row, column) that goes to the grid's centre, or none for the middle.
        places: Where in the brain each slice lies; none where that is not known, as of images and volumes.
        neighbours: The slices below and above each; none where none are asked for.
    """

    image: Tensor
    brain: Tensor
    keys: list[int]
    spacing: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    places: list[SlicePlace] | None = None
    neighbours: NeighbourSlices | None = None

    def list_places(self) -> list[SlicePlace | None]:
        """Return the place of each slice, where it is known."""
        return [None] * len(self.image) if self.places is None else [*self.places]


def read_scan(
    scan: Volume | Source | Sequence[Source],
    mask: Source | Array | None = None,
    mask_threshold: float | None = None,
) -> tuple[Volume, Array]:
    """Read a scan and its brain mask, (I, J, K), boolean; what is odd about either is in its warnings.

    Args:
        scan: A file, a file for each sequence, or a volume that was read already.
        mask: A file or an array (I, J, K) in RAS; without a mask the brain is what is not background.
        mask_threshold: What of a mask lies above it is brain; none takes 0, or .5 of probabilities.

    Raises:
        VolumeError: If either cannot be used, or the mask is empty; the message names the file.
    """
    volume = scan if isinstance(scan, Volume) else Volume.load(scan)
    if mask is None:
        brain, warnings = find_stripped_brain(volume.data)
    else:
        brain, warnings = resolve_mask(mask, volume, mask_threshold)
    if not brain.any():
        raise VolumeError(
            f"{volume.name}: expected a brain mask with voxels above zero, found an empty one; "
            "give another mask"
        )
    return volume.warn(*warnings, *list_oddities(volume, brain)), brain


def cut_slices(
    image: Tensor,
    brain: Tensor,
    axis: str,
    spacing: Sequence[float] | None = None,
    slices: tuple[int, int] | None = None,
    name: str = "the scan",
    is_image: bool = False,
    neighbours: int = 0,
) -> ScanSlices:
    """Cut a volume into the slices that show brain, or leave it whole.

    The centre follows from the brain in all slices, so that it does not depend on the choice of slices.

    Args:
        image: Raw intensities, (C, I, J, K).
        brain: Brain mask, (1, I, J, K), bool, not empty.
        axis: Plane of the slices, or "volume".
        spacing: Voxel size (I, J, K) in mm, where known.
        slices: First and last (exclusive) slice, counted in RAS; none for all.
        name: What messages call the scan.
        is_image: Whether it is a single image, whose middle is the middle, as in a data set of images.
        neighbours: Slices below and above each that are shown beside it, whatever the range of slices.

    Raises:
        VolumeError: If none of the slices shows brain, or the brain has no contrast.
    """
    values = np.concatenate([channel[brain[0].numpy()] for channel in image.numpy()])
    if not np.ptp(values):
        raise VolumeError(f"{name}: expected contrast inside the brain mask, got the constant {values[0]:g}")
    if axis == "volume":
        return ScanSlices(image[None], brain[None], [0])
    planes, masks = to_slices(image, axis), to_slices(brain, axis)
    first, last = slices or (0, len(planes))
    keys = [k for k in range(max(0, first), min(last, len(planes))) if masks[k].any()]
    if not keys:
        raise VolumeError(
            f"{name}: expected brain in the {axis} slices {first} to {last - 1}, found none; "
            f"the scan has {len(planes)} slices, and its brain lies in {_describe_range(masks)}"
        )
    size = None if spacing is None else slice_spacing(spacing, axis)
    places = find_places(brain, axis, keys) if len(planes) > 1 else None
    centre = None if is_image else mask_centre(masks)
    rest = (places, find_neighbours(planes, masks, keys, neighbours))
    return ScanSlices(planes[keys], masks[keys], keys, size, centre, *rest)


def _describe_range(masks: Tensor) -> str:
    keys = masks.flatten(1).any(1).nonzero().flatten().tolist()
    return f"slices {keys[0]} to {keys[-1]}"
