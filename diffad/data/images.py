"""A folder of 2-D images, one healthy slice each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.data.duplicates import hash_scan, report_duplicates
from diffad.data.image_file import SUFFIXES
from diffad.data.image_file import read_image as read_image
from diffad.data.items import DataError, TrainingItem
from diffad.data.labels import LabelRule, Labels, read_labels
from diffad.data.masks import brain_mask
from diffad.data.neighbours import refuse_neighbours
from diffad.data.scan_listing import split_folders
from diffad.data.scan_search import search_images
from diffad.data.space import Space
from diffad.data.splits import SHARES, choose_split, require_disjoint, split_scans
from diffad.io.walk import walk_folder
from diffad.registry import DATASETS


def infer_subject(path: Path) -> str:
    """Return the subject of a file: its BIDS ``sub-`` entity, else its name."""
    match = re.match(r"(sub-[A-Za-z0-9]+)", path.name)
    return match.group(1) if match else path.name.split(".")[0]


@DATASETS.register("images")
class Images:
    """Slices from ``root/split``, in the grid of the model and in memory.

    Folders ``root/train`` and ``root/val`` are used where they exist; else the subjects in ``root`` are split
    at random, and slices of one subject stay together if their names begin with the same ``sub-`` entity.

    Args:
        root: Folder with the images, or with one folder for each split.
        split: Name of the split.
        space: Grid and intensity of the model.
        mask: Brain mask for all slices, an image relative to ``root``; none takes non-zero pixels.
        spacing: Pixel size in mm, where the field of view of the model is in mm.
        limit: Number of slices to use, from the first on; none for all.
        shares: Fraction of the subjects by split, where there are no folders.
        split_seed: Seed of the shuffle of the subjects.
        labels: What says which slices are diseased: "folder" for folders "healthy" and "diseased" below the
            split; the path of a CSV with the columns file (or subject) and label; "masks" for lesion masks
            "*_lesion.png" beside the images, or {masks: NAME}. None for no labels.

    Raises:
        DataError: If there are no images, sizes or channels differ, splits overlap, or labels are missing or
            unknown, or the space asks for neighbouring slices.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        space: SpaceConfig = SpaceConfig(),  # noqa: B008 (frozen)
        mask: str | None = None,
        spacing: float | None = None,
        limit: int | None = None,
        shares: Mapping[str, float] = SHARES,
        split_seed: int = 0,
        labels: Labels = None,
    ) -> None:
        refuse_neighbours(space, "images")
        mask_path = None if mask is None else Path(root) / mask
        self._rule = LabelRule.parse(labels, Path(root), "*_lesion.png")
        splits = _list_splits(Path(root), mask_path, shares, split_seed, split, self._rule)
        splits = {name: paths[:limit] for name, paths in splits.items()}
        self.paths = splits[split]
        self.subjects = {name: [infer_subject(path) for path in paths] for name, paths in splits.items()}
        """Subjects by split."""
        files, subjects = [[path] for path in self.paths], [infer_subject(path) for path in self.paths]
        self._labels = read_labels(self._rule, files, subjects, Path(root), split)
        self._space = Space(space)
        self._spacing = None if spacing is None else (spacing, spacing)
        self._items = self._load(None if mask_path is None else read_image(mask_path)[:1] > 0)
        report_duplicates({name: {p: hash_scan([p]) for p in paths} for name, paths in splits.items()}, split)

    def _load(self, brain: Tensor | None) -> list[TrainingItem]:
        items, shape = [], read_image(self.paths[0]).shape
        for path, label in zip(self.paths, self._labels, strict=True):
            image = read_image(path)
            if image.shape != shape:
                raise DataError(
                    f"{path}: expected shape {tuple(shape)} as of {self.paths[0].name}, "
                    f"found {tuple(image.shape)}"
                )
            lesion = self._rule.find_lesion([path])
            item_label = label if lesion is None else _read_lesion_label(lesion, image)
            items.append(self._make_item(path, image, brain, item_label))
        return items

    def _make_item(self, path: Path, image: Tensor, brain: Tensor | None, label: int | None) -> TrainingItem:
        if brain is not None and brain.shape[1:] != image.shape[1:]:
            size, mask_size = tuple(image.shape[1:]), tuple(brain.shape[1:])
            raise DataError(f"{path}: expected a brain mask of the size {size}, found {mask_size}")
        item_brain = torch.as_tensor(brain_mask(image[None])[0]) if brain is None else brain
        try:
            x, mask, _ = self._space.place(image[None], item_brain[None], self._spacing)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        return TrainingItem(x[0], mask[0], infer_subject(path), label)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> TrainingItem:
        return self._items[index]


def _read_lesion_label(lesion: Path, image: Tensor) -> int:
    mask = read_image(lesion)
    if mask.shape[1:] != image.shape[1:]:
        size, mask_size = tuple(image.shape[1:]), tuple(mask.shape[1:])
        raise DataError(f"{lesion}: expected a lesion mask of the size {size}, found {mask_size}")
    return int((mask > 0).any())


def _list_splits(
    root: Path, mask: Path | None, shares: Mapping[str, float], seed: int, split: str, rule: LabelRule
) -> dict[str, list[Path]]:
    """List the images of all splits, as folders say or at random by subject."""
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of images, found no such folder")
    if folders := split_folders(root, shares, split):
        splits = {name: _list_images(folder, mask, rule) for name, folder in folders.items()}
        require_disjoint({name: [infer_subject(p) for p in paths] for name, paths in splits.items()}, root)
    else:
        paths = _list_images(root, mask, rule)
        splits = split_scans(paths, [infer_subject(p) for p in paths], shares, seed)
    choose_split(splits, split, root)
    return splits


def _list_images(folder: Path, mask: Path | None, rule: LabelRule) -> list[Path]:
    paths = search_images(folder, rule.folders, lambda path: path == mask or rule.is_lesion(path))
    if not paths:
        hint = "; this folder holds volumes: data.name=volumes" if walk_folder(folder).volumes else ""
        raise DataError(f"{folder}: expected images ({', '.join(SUFFIXES)}), found none{hint}")
    return paths
