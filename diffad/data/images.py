"""A folder of 2-D images, one healthy slice each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.data.duplicates import hash_scan, report_duplicates
from diffad.data.items import SHARES, DataError, TrainingItem, choose_split, require_disjoint, split_scans
from diffad.data.labels import LabelRule, Labels, read_labels
from diffad.data.listing import split_folders
from diffad.data.masks import brain_mask
from diffad.data.picture import SUFFIXES
from diffad.data.picture import read_image as read_image
from diffad.data.space import Space
from diffad.registry import DATASETS


def infer_subject(path: Path) -> str:
    """Return the subject of a file: its BIDS ``sub-`` entity, else its name."""
    match = re.match(r"(sub-[A-Za-z0-9]+)", path.name)
    return match.group(1) if match else path.name.split(".")[0]


@DATASETS.register("images")
class Images:
    """Slices from ``root/split``, kept in memory in the model's grid.

    Folders ``root/train`` and ``root/val`` are used where they exist; else the subjects in ``root`` are
    shared out, and slices of one subject stay together if their names begin with the same ``sub-`` entity.

    Args:
        root: Folder with the images, or with one folder per split.
        split: Which part.
        space: Grid and intensity of the model.
        mask: Brain mask image for all slices, relative to ``root``; none takes each slice's non-zero pixels.
        spacing: Pixel size in mm, where the model's field of view is in mm.
        limit: Keep the first so many slices.
        shares: Share of the subjects by split, where there are no folders.
        split_seed: Which shuffle of the subjects.
        labels: Where it says what is diseased: "folder" for folders "healthy" and "diseased" below the
            split; the path of a CSV with the columns file (or subject) and label; "masks" for lesion masks
            "*_lesion.png" beside the images, or {masks: NAME}. None for no labels.

    Raises:
        DataError: If the folder has no images, images of different sizes or channels, splits overlap, or
            labels are missing or unknown.
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
        brain = None if mask is None else Path(root) / mask
        self._rule = LabelRule.of(labels, Path(root), "*_lesion.png")
        splits = _list_splits(Path(root), brain, shares, split_seed, split, self._rule)
        splits = {name: paths[:limit] for name, paths in splits.items()}
        self.paths = splits[split]
        files, subjects = [[path] for path in self.paths], [infer_subject(path) for path in self.paths]
        self._labels = read_labels(self._rule, files, subjects, Path(root), split)
        self._space = Space(space)
        self._spacing = None if spacing is None else (spacing, spacing)
        self._items = self._load(None if brain is None else read_image(brain)[:1] > 0)
        report_duplicates({name: {p: hash_scan([p]) for p in paths} for name, paths in splits.items()}, split)

    def _load(self, brain: Tensor | None) -> list[TrainingItem]:
        items, first = [], read_image(self.paths[0]).shape
        for path, label in zip(self.paths, self._labels, strict=True):
            image = read_image(path)
            if image.shape != first:
                expected, found = tuple(first), tuple(image.shape)
                raise DataError(f"{path}: expected shape {expected} as in {self.paths[0].name}, got {found}")
            lesion = self._rule.lesion([path])
            known = label if lesion is None else _shows(lesion, image)
            items.append(self._item(path, image, brain, known))
        return items

    def _item(self, path: Path, image: Tensor, brain: Tensor | None, label: int | None) -> TrainingItem:
        if brain is not None and brain.shape[1:] != image.shape[1:]:
            raise DataError(f"{path}: mask is {tuple(brain.shape[1:])}, image {tuple(image.shape[1:])}")
        inside = torch.as_tensor(brain_mask(image[None])[0]) if brain is None else brain
        try:
            x, mask, _ = self._space.place(image[None], inside[None], self._spacing)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        return TrainingItem(x[0], mask[0], infer_subject(path), label)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> TrainingItem:
        return self._items[index]


def _shows(lesion: Path, image: Tensor) -> int:
    mask = read_image(lesion)
    if mask.shape[1:] != image.shape[1:]:
        found = f"found {tuple(mask.shape[1:])}"
        raise DataError(f"{lesion}: expected a lesion mask {tuple(image.shape[1:])}, {found}")
    return int((mask > 0).any())


def _list_splits(
    root: Path, mask: Path | None, shares: Mapping[str, float], seed: int, split: str, rule: LabelRule
) -> dict[str, list[Path]]:
    """List the images of all splits, as folders say or shared out by subject."""
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of images, found none")
    if folders := split_folders(root, shares, split):
        splits = {name: _list(folder, mask, rule) for name, folder in folders.items()}
        require_disjoint({name: [infer_subject(p) for p in paths] for name, paths in splits.items()}, root)
    else:
        paths = _list(root, mask, rule)
        splits = split_scans(paths, [infer_subject(p) for p in paths], shares, seed)
    choose_split(splits, split, root)
    return splits


def _list(folder: Path, mask: Path | None, rule: LabelRule) -> list[Path]:
    below = folder.rglob("*") if rule.folders else folder.iterdir()
    paths = sorted(p for p in below if p.suffix.lower() in SUFFIXES and p != mask and not rule.hides(p))
    if not paths:
        raise DataError(f"{folder}: expected images ({', '.join(SUFFIXES)}), found none")
    return paths
