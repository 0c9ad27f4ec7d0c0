"""One 2-D image on disk."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from diffad.data.data_error import DataError
from diffad.io.files import FileError, open_regular

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
GREY_MODES = ("L", "I", "F", "I;16", "I;16B", "I;16L")
READABLE_MODES = (*GREY_MODES, "RGB")
"""Modes of Pillow that are read as they are; images of all others become grey, transparent pixels black."""


def read_image(path: Path) -> Tensor:
    """Read a grey or colour image of 8 or 16 bits, or of floats in [0, 1], as (C, H, W) in [0, 1].

    It lies as its EXIF orientation says, as in a viewer.

    Raises:
        DataError: If the file is no image that can be read whole, has several pages, or its intensities are
            out of range.
    """
    return _scale(read_pixels(path, READABLE_MODES), path)


def convert_image(image: Image.Image, name: str, modes: tuple[str, ...] = READABLE_MODES) -> Tensor:
    """Return a Pillow image, which is left as it is, as ``read_image`` returns a file, (C, H, W) in [0, 1].

    Args:
        image: An image of one page.
        name: What messages call it.
        modes: Modes that stay as they are; images of others become grey.

    Raises:
        DataError: If its intensities are out of range.
    """
    return _scale(np.asarray(_flatten(ImageOps.exif_transpose(image), modes)), name)


def read_grey_image(path: Path) -> Tensor:
    """Read an image as ``read_image`` does, colours as their luminance, as (H, W) in [0, 1].

    Raises:
        DataError: As ``read_image``.
    """
    return _scale(read_pixels(path), path)[0]


def read_pixels(path: Path, modes: tuple[str, ...] = GREY_MODES) -> npt.NDArray[Any]:
    """Read the numbers that an image stores, (H, W), or (H, W, 3) of colours.

    Args:
        path: An image of one page.
        modes: Modes of Pillow that stay as they are; images of others become grey.

    Raises:
        DataError: If the file is no image that can be read whole, or has several pages.
    """
    try:
        # Given a name instead, Pillow maps a TIFF into memory, and garbles one that is to be turned.
        with open_regular(path, "an image") as file, Image.open(file) as image:
            pages = int(getattr(image, "n_frames", 1))
            if pages > 1:
                expectation = "an image of one page; write each page, or slice, to a file of its own"
                raise DataError(f"{path}: expected {expectation}, found {pages} pages")
            image.load()  # a damaged image fails here, not in the middle of its orientation
            return np.asarray(_flatten(ImageOps.exif_transpose(image), modes))
    except FileError as error:
        raise DataError(str(error)) from error
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: expected an image, found a file of no format that is known") from error
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: expected an image, found a file that cannot be read ({error})") from error


def _flatten(image: Image.Image, modes: tuple[str, ...]) -> Image.Image:
    """Make an image of one or three channels, of another mode than ``modes`` a grey one."""
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        background = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(background, colours).convert("L")
    return image if image.mode in modes else image.convert("L")


def _scale(pixels: npt.NDArray[Any], path: Path | str) -> Tensor:
    values = np.atleast_3d(pixels.astype(np.float32) / find_white(pixels))
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        span = f"{pixels.min()} to {pixels.max()}"
        raise DataError(f"{path}: expected 8 or 16 bits, or floats in [0, 1], found values from {span}")
    return rearrange(torch.from_numpy(values), "h w c -> c h w")


def find_white(pixels: npt.NDArray[Any]) -> float:
    """Return the number that is white: 1 of floats, else the largest of 8 or 16 bits."""
    if pixels.dtype.kind == "f":
        return 1.0
    # 16-bit images may come in 32-bit integers.
    return float(min(np.iinfo(pixels.dtype).max, 65535))
