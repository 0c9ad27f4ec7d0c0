"""One 2-D image on disk."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from diffad.data.items import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
READABLE_MODES = ("L", "RGB", "I", "F", "I;16", "I;16B", "I;16L")
"""Modes of Pillow that are read as they are; images of all others become grey."""


def read_image(path: Path) -> Tensor:
    """Read a grey or colour image of 8 or 16 bits, or of floats in [0, 1], as (C, H, W) in [0, 1].

    Raises:
        DataError: If the file is no image that can be read whole, or its intensities are out of range.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image if image.mode in READABLE_MODES else image.convert("L"))
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: expected an image, found a file that cannot be read ({error})") from error
    values = np.atleast_3d(pixels.astype(np.float32) / _white_value(pixels))
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        span = f"{pixels.min()} to {pixels.max()}"
        raise DataError(f"{path}: expected 8 or 16 bits, or floats in [0, 1], found values from {span}")
    return rearrange(torch.from_numpy(values), "h w c -> c h w")


def _white_value(pixels: npt.NDArray[Any]) -> float:
    if pixels.dtype.kind == "f":
        return 1.0
    # 16-bit images may come in 32-bit integers.
    return float(min(np.iinfo(pixels.dtype).max, 65535))
