"""A folder of 2-D images, one healthy slice each."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.data.items import DataError, Item
from diffad.data.masks import brain_mask
from diffad.data.space import Space
from diffad.registry import DATASETS

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_image(path: Path) -> Tensor:
    """Read a grey or colour image of 8 or 16 bits as (C, H, W) in [0, 1].

    Raises:
        DataError: If the file is not an image that can be read whole.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image if image.mode in ("L", "RGB", "I;16", "F") else image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: expected an image, got one that cannot be read ({error})") from error
    top = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "ui" else 1.0
    pixels = np.atleast_3d(pixels.astype(np.float32) / top)
    return rearrange(torch.from_numpy(pixels), "h w c -> c h w")


def subject_of(path: Path) -> str:
    """Return the subject of a file: its BIDS ``sub-`` entity, else its name."""
    match = re.match(r"(sub-[A-Za-z0-9]+)", path.name)
    return match.group(1) if match else path.name.split(".")[0]


@DATASETS.register("images")
class Images:
    """Slices from ``root/split`` (or ``root`` itself), kept in memory in the model's grid.

    Args:
        root: Folder with the images, or with one folder per split.
        split: "train" or "val"; ignored where no such folder exists.
        space: Grid and intensity of the model.
        mask: Brain mask image for all slices, relative to ``root``; none takes each slice's non-zero pixels.
        spacing: Pixel size in mm, where the model's field of view is in mm.
        limit: Keep the first so many slices.

    Raises:
        DataError: If the folder has no images, or images of different sizes or channels.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        space: SpaceConfig = SpaceConfig(),  # noqa: B008 (frozen)
        mask: str | None = None,
        spacing: float | None = None,
        limit: int | None = None,
    ) -> None:
        folder = Path(root) / split if (Path(root) / split).is_dir() else Path(root)
        if not folder.is_dir():
            raise DataError(f"{root}: expected a folder of images, found none")
        self.paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)[:limit]
        if mask is not None:
            self.paths = [p for p in self.paths if p != Path(root) / mask]
        if not self.paths:
            raise DataError(f"{folder}: expected images ({', '.join(SUFFIXES)}), found none")
        self._space = Space(space)
        self._spacing = None if spacing is None else (spacing, spacing)
        self._items = self._load(None if mask is None else read_image(Path(root) / mask)[:1] > 0)

    def _load(self, brain: Tensor | None) -> list[Item]:
        items, first = [], read_image(self.paths[0]).shape
        for path in self.paths:
            image = read_image(path)
            if image.shape != first:
                expected, found = tuple(first), tuple(image.shape)
                raise DataError(f"{path}: expected shape {expected} as in {self.paths[0].name}, got {found}")
            items.append(self._item(path, image, brain))
        return items

    def _item(self, path: Path, image: Tensor, brain: Tensor | None) -> Item:
        if brain is not None and brain.shape[1:] != image.shape[1:]:
            raise DataError(f"{path}: mask is {tuple(brain.shape[1:])}, image {tuple(image.shape[1:])}")
        inside = torch.as_tensor(brain_mask(image[None])[0]) if brain is None else brain
        try:
            x, mask, _ = self._space.place(image[None], inside[None], self._spacing)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        return Item(x[0], mask[0], subject_of(path))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Item:
        return self._items[index]
