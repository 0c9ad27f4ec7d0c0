"""A folder of healthy slices as PNG files, with one brain mask for all: train/, val/ and brain_mask.png."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.data.image_file import read_grey_image


def load_slices(folder: Path, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Read training and validation slices (N, 1, S, S) in [0, 1] and their brain mask (1, 1, S, S).

    Slices are 0 outside the brain, padded to a square and brought to the size.

    Args:
        folder: Folder with train/, val/ and brain_mask.png.
        size: Side S of the slices, in pixels.

    Raises:
        OSError: If there is no slice.
        ValueError: If a file is missing or cannot be read, or a slice has another shape than the mask.
    """
    mask = read_grey_image(folder / "brain_mask.png")
    brain = _fit_square(mask, size) > 0.5
    train, val = (_read_slices(folder / part, mask, size) * brain for part in ("train", "val"))
    return train, val, brain


def _read_slices(folder: Path, mask: Tensor, size: int) -> Tensor:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() == ".png" and path.name[0] != ".")
    if not files:
        raise FileNotFoundError(f"{folder}: expected PNG files, found none")
    slices = []
    for file in files:
        image = read_grey_image(file)
        if image.shape != mask.shape:
            expected = f"expected the shape of the mask {tuple(mask.shape)}"
            raise ValueError(f"{file}: {expected}, got {tuple(image.shape)}")
        slices.append(_fit_square(image * mask, size))
    return torch.cat(slices)


def _fit_square(image: Tensor, size: int) -> Tensor:
    """Pad an image (H, W) to a square and bring it to (1, 1, size, size)."""
    height, width = image.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = F.pad(image, (left, side - width - left, top, side - height - top))
    return F.interpolate(square[None, None], size=size, mode="bilinear", antialias=True).clamp(0, 1)
