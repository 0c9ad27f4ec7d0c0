"""A contact sheet of what a network is trained on."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.neighbours import stack_neighbours
from diffad.data.place import tabulate_places
from diffad.data.window import group_by_window
from diffad.io.atomic import write_bytes
from diffad.training.batch import Batch, make_batch, sample_pool
from diffad.training.parts import build_data
from diffad.training.stream import Stream
from diffad.types import generator_for

GAP, SHADE = 2, 0.35
"""Pixels between tiles, and their grey."""


def save_training_sheet(config: Config, split: str, count: int, path: Path) -> int:
    """Draw the first items of a training as a network sees them.

    Args:
        config: The experiment.
        split: Split of its data set.
        count: Number of items.
        path: PNG to write, whole or not at all.

    Returns:
        How many subjects they show.

    Raises:
        ConfigError: If the data set cannot be built.
        OSError: If the file cannot be written.
    """
    from PIL import Image

    batches, subjects = draw_training_items(config, split, count)
    rows = [_join_pictures(pictures) for pictures in zip(*map(_list_pictures, batches), strict=True)]
    sheet, content = tile_pictures(rows), io.BytesIO()
    Image.fromarray((sheet * 255).round().byte().numpy()).save(content, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())
    return subjects


def draw_training_items(config: Config, split: str, count: int) -> tuple[list[Batch], int]:
    """Return the first items of a training, augmented, cut and corrupted, and how many subjects they show.

    Those of one window are one batch.
    """
    data = build_data(config, split)
    stream = Stream(data, config.seed)
    items = [stream.draw(g) for g in range(count)]
    label = torch.tensor([-1 if item.label is None else item.label for item in items])
    pool = sample_pool(data, config.space) if config.corrupt.tasks else ()
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    values = (images, masks, label, tabulate_places([item.place for item in items]), stack_neighbours(items))
    batches = []
    for _, rows in group_by_window(values[3], config.space):
        image, mask, item_label, place, neighbours = (v[rows] for v in values)
        generators = [generator_for(config.seed, 2, g) for g in rows]
        batches.append(make_batch(image, mask, item_label, place, config, generators, pool, neighbours))
    return batches, len({item.subject for item in items})


def _list_pictures(batch: Batch) -> list[Tensor]:
    """Return what is drawn of a batch, (N, H, W) each: its images, or those before and after a change."""
    pictures = [batch.image] if batch.original is None else [_find_input(batch), batch.original]
    return [_cut_middle(picture) for picture in pictures]


def _join_pictures(pictures: Sequence[Tensor]) -> Tensor:
    """Join images (N, H, W) of several windows, each in the middle of the largest."""
    height, width = (max(p.shape[axis] for p in pictures) for axis in (1, 2))
    pads = [(width - p.shape[2], height - p.shape[1]) for p in pictures]
    ends = [(w // 2, w - w // 2, h // 2, h - h // 2) for w, h in pads]
    return torch.cat([torch.nn.functional.pad(p, end) for p, end in zip(pictures, ends, strict=True)])


def tile_pictures(rows: Sequence[Tensor]) -> Tensor:
    """Lay out images (N, H, W) side by side, those of one item below each other, about as wide as high."""
    count, height, width = rows[0].shape
    columns = min(count, max(1, round(math.sqrt(count * len(rows) * height / width))))
    blocks = torch.cat([_frame(row) for row in rows], 1)
    empty = -count % columns
    blocks = torch.cat([blocks, blocks.new_full((empty, *blocks.shape[1:]), SHADE)])
    return torch.cat([torch.cat(list(line), 1) for line in torch.split(blocks, columns)])


def _frame(images: Tensor) -> Tensor:
    return torch.nn.functional.pad(images, (0, GAP, 0, GAP), value=SHADE)


def _find_input(batch: Batch) -> Tensor:
    """Return the images that something was done to: what a network must restore, judge or do without."""
    if batch.damaged_image is not None:
        return batch.damaged_image
    return batch.cond_image


def _cut_middle(images: Tensor) -> Tensor:
    """Return the first channel of images (N, C, H, W), or the middle axial slice of volumes; (N, H, W)."""
    return images[:, 0] if images.ndim == 4 else images[:, 0, :, :, images.shape[-1] // 2].mT.flip(1)
