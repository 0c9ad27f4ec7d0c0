"""What callers hold in memory or on disk, made a scan: arrays, nibabel and Pillow images, slices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffad.data.image_file import (
    GREY_MODES,
    SUFFIXES,
    convert_image,
    find_white,
    read_grey_image,
    read_image,
)
from diffad.data.nibabel_image import is_nibabel_image, read_nibabel_image
from diffad.data.volume import Volume, VolumeError, stack_volumes
from diffad.inference.scan import ScanSource, check_sequences, read_source
from diffad.io.wording import shorten

KINDS = (
    "a path, a list with a path for each sequence, a nibabel image, a diffad.Volume, "
    "a tensor (B, C, *S) in [0, 1], an array or a Pillow image of one slice"
)
"""What a scan may be."""


def read_input(
    scan: Any,
    mask: Any,
    region: Any,
    channels: int,
    names: Sequence[str] | None = None,
    mask_threshold: float | None = None,
) -> ScanSource:
    """Read whatever a caller hands over as one scan with its brain.

    Args:
        scan: The scan, as one of ``KINDS``.
        mask: Its brain mask, or none.
        region: Where its reconstruction may differ, or none.
        channels: Sequences of the network.
        names: Their names in order, or none.
        mask_threshold: What of the mask lies above it is brain; none takes 0, or .5 of probabilities.

    Raises:
        TypeError: If it is nothing that a scan can be.
        ValueError: If it cannot be used; a file is named.
    """
    label = str(scan) if isinstance(scan, str | os.PathLike) else "the scan"
    scan = adapt_scan(scan, channels)
    check_sequences(scan, names)
    mask, region = adapt_mask(mask, scan), adapt_mask(region, scan)
    return read_source(scan, mask, region, mask_threshold=mask_threshold, label=label)


def adapt_scan(scan: Any, channels: int) -> Any:
    """Make a tensor or a volume of a scan; paths of volumes pass.

    Args:
        scan: What the caller handed over.
        channels: Sequences of the network: images become grey for a network of one.

    Raises:
        TypeError: If it is nothing that a scan can be.
        ValueError: If it cannot be used.
    """
    if isinstance(scan, Tensor | Volume):
        return scan
    if isinstance(scan, str | os.PathLike):
        return _read_slice(Path(scan), channels) if is_image_path(scan) else scan
    if isinstance(scan, np.ndarray):
        return _adapt_array(scan)
    if isinstance(scan, Image.Image):
        return convert_image(scan, "the image", *([GREY_MODES] if channels == 1 else []))[None]
    if is_nibabel_image(scan):
        return read_nibabel_image(scan)
    if isinstance(scan, list | tuple) and scan:
        return _adapt_sequences(scan)
    raise TypeError(f"expected a scan as {KINDS}, got {_describe(scan)}")


def adapt_mask(mask: Any, scan: Any) -> Any:
    """Make an array, a tensor or a volume of a mask or a region; paths of volumes pass.

    Args:
        mask: What the caller handed over, or none.
        scan: The scan that it belongs to, as ``adapt_scan`` returned it.

    Raises:
        ValueError: If it cannot be used.
    """
    if is_nibabel_image(mask):
        return read_nibabel_image(mask, allow_constant=True)
    is_plane = isinstance(scan, Tensor) and scan.ndim == 4
    if not is_plane:
        return mask
    if isinstance(mask, str | os.PathLike) and is_image_path(mask):
        return read_grey_image(Path(mask))[None, None]
    if isinstance(mask, Image.Image):
        return convert_image(mask, "the mask", GREY_MODES)[None]
    return torch.from_numpy(mask)[None, None] if isinstance(mask, np.ndarray) and mask.ndim == 2 else mask


def is_image_path(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is named like an image of one slice."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def _read_slice(path: Path, channels: int) -> Tensor:
    return read_grey_image(path)[None, None] if channels == 1 else read_image(path)[None]


def _adapt_array(values: np.ndarray[Any, Any]) -> Tensor:
    if values.ndim == 3:
        hint = "pass the nibabel image, or diffad.Volume(array[None], affine)"
        raise ValueError(
            f"expected an array of one slice (H, W) or of a batch (B, C, *S), got shape {values.shape}; "
            f"as a volume it lacks the size and directions of its voxels: {hint}"
        )
    if values.dtype.kind not in "biuf" or values.ndim not in (2, 4, 5):
        kind = f"{values.dtype} of shape {values.shape}"
        raise ValueError(f"expected an array (H, W) or (B, C, *S) of numbers, got {kind}")
    whole = values.dtype in (np.uint8, np.uint16)
    numbers = values.astype(np.float32) / (find_white(values) if whole else 1.0)
    tensor = torch.from_numpy(numbers)
    return tensor[None, None] if values.ndim == 2 else tensor


def _adapt_sequences(scans: Sequence[Any]) -> Any:
    if all(isinstance(scan, str | os.PathLike) for scan in scans):
        if images := [scan for scan in scans if is_image_path(scan)]:
            hint = "pass one image, or several as a tensor (B, C, H, W) in [0, 1]"
            expectation = "the sequences of one volume in a list"
            raise VolumeError(f"{images[0]}: expected {expectation}, found an image; {hint}")
        return scans
    if all(is_nibabel_image(scan) for scan in scans):
        return stack_volumes([read_nibabel_image(scan) for scan in scans])
    kinds = ", ".join(sorted({type(scan).__name__ for scan in scans}))
    raise TypeError(
        f"expected a list of paths or of nibabel images, one for each sequence, got one of {kinds}"
    )


def _describe(value: object) -> str:
    return shorten(f"{type(value).__name__} {value!r}", 80)
