"""Single slices on disk, images and arrays, as volumes of one slice."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from einops import rearrange

from diffad.config.reading import ReadOptions
from diffad.data.image_file import read_image
from diffad.data.volume_error import VolumeError, demand
from diffad.data.volume_header import VolumeHeader, make_header
from diffad.io.files import FileError, read_regular
from diffad.io.nifti import FLAT_SUFFIXES

MAX_CHANNELS = 16
"""Largest last axis of an array (H, W, C) that is a slice; another is a volume without a header."""


def is_flat_name(path: Path) -> bool:
    """Tell whether a file is a single slice by its name."""
    return path.name.lower().endswith(FLAT_SUFFIXES)


def read_flat_file(path: Path, options: ReadOptions) -> tuple[VolumeHeader, npt.NDArray[np.float32]]:
    """Read a slice as an axial one of a volume, upright as ``to_slices`` cuts it: (W, H, 1) or (W, H, 1, C).

    It has no voxel size, so its pixels are taken to be 1 mm, and its left side is taken for the patient's.

    Args:
        path: PNG, JPEG, TIFF or BMP of 8 or 16 bits, or an array (H, W) or (H, W, C) of NumPy.
        options: How large it may be.

    Raises:
        VolumeError: If it cannot be read, or is no slice; it is named.
    """
    try:
        pixels = _read_array(path, options) if path.suffix.lower() == ".npy" else _read_image(path)
    except VolumeError:
        raise
    except (FileError, ValueError) as error:
        raise VolumeError(str(error)) from error
    finding = f"{pixels.size} of shape {pixels.shape}; --max-voxels raises the limit"
    demand(pixels.size <= options.max_voxels, path, f"at most {options.max_voxels} pixels", finding)
    voxels = np.ascontiguousarray(rearrange(pixels[::-1], "h w c -> w h 1 c"), dtype=np.float32)
    voxels = voxels[..., 0] if voxels.shape[-1] == 1 else voxels
    affine = np.eye(4)
    header = make_header(voxels.shape, affine)
    return VolumeHeader(header, affine, voxels.shape, voxels.dtype, 0, (None, None)), voxels


def _read_image(path: Path) -> npt.NDArray[np.float32]:
    """Read an image (H, W, C); one whose colours are all grey has one channel."""
    image = rearrange(read_image(path), "c h w -> h w c").numpy()
    is_grey = bool((image == image[..., :1]).all())
    return image[..., :1] if is_grey else image


def _read_array(path: Path, options: ReadOptions) -> npt.NDArray[Any]:
    """Read an array (H, W, C) of plain numbers; what it claims to hold is compared with its size first."""
    content = read_regular(path, 16 * options.max_voxels + 4096, "an array of NumPy")
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise VolumeError(f"{path}: expected an array of NumPy, found one that cannot be read") from error
    is_plain = isinstance(array, np.ndarray) and array.dtype.kind in "iufb" and array.size > 0
    demand(is_plain, path, "real numbers", f"voxels of type {getattr(array, 'dtype', type(array))}")
    array = np.squeeze(array, 0) if array.ndim == 3 and array.shape[0] == 1 else array
    is_slice = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] <= MAX_CHANNELS)
    hint = "a slice (H, W) or (H, W, C); a volume needs a voxel size, so save it as NIfTI"
    demand(is_slice, path, hint, f"an array of shape {array.shape}")
    return np.atleast_3d(array.astype(np.float32))
