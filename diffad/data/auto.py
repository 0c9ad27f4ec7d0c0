"""A folder of images or of volumes, whichever it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffad.config import SpaceConfig
from diffad.data.items import DataError, Dataset
from diffad.data.scan_search import holds_images
from diffad.io.walk import walk_folder
from diffad.registry import DATASETS


@DATASETS.register("auto")
def choose_dataset(
    root: str,
    split: str = "train",
    space: SpaceConfig = SpaceConfig(),  # noqa: B008 (frozen)
    **options: Any,
) -> Dataset:
    """Slices of images where a folder holds images, and of volumes where it holds volumes or lists them.

    Args:
        root: Folder of the data.
        split: Name of the split.
        space: Grid and intensity of the model.
        **options: Options of the data set "images" or "volumes".

    Raises:
        DataError: If there are neither, or both, or the data cannot be used.
        UnknownNameError: If an option is none of the data set's.
        ValueError: If an option does not fit.
    """
    name = find_kind(Path(root), bool(options.get("csv")))
    dataset: Dataset = DATASETS.build(name, root=root, split=split, space=space, **options)
    return dataset


def find_kind(root: Path, has_table: bool = False) -> str:
    """Return the name of the data set that reads a folder.

    Args:
        root: The folder.
        has_table: Whether a table lists its volumes.

    Raises:
        DataError: If it holds neither images nor volumes, or both.
    """
    if has_table:
        return "volumes"
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of images or volumes, found no such folder")
    has_volumes, has_images = bool(walk_folder(root).volumes), holds_images(root)
    if has_volumes == has_images:
        finding = "both; say data.name=images or data.name=volumes" if has_images else "neither"
        raise DataError(f"{root}: expected images or volumes, found {finding}")
    return "volumes" if has_volumes else "images"
