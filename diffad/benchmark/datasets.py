"""Test sets from a data set on disk, whose lesions are real."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffad.benchmark.config import DataConfig, hash_values
from diffad.benchmark.items import TestItem, TestSet
from diffad.data.image_file import read_grey_image, read_pixels
from diffad.data.layouts.base import Entry
from diffad.data.volume import Volume, require_same_grid
from diffad.evaluation.samples import Bools
from diffad.io.digests import hash_file
from diffad.io.nifti import is_volume_name

CHUNK = 16
"""Scans whose maps are one unit of work, and are in memory together."""


def list_chunks(data: DataConfig) -> list[TestSet]:
    """List the scans of a data set in chunks.

    Raises:
        ValueError: If nothing of it can be used.
    """
    from diffad.data.layouts.find import list_entries

    listing = list_entries(Path(str(data.root)), data.layout)
    entries = [e for e in listing.entries if data.split is None or e.split in (None, data.split)]
    entries = [e for e in entries if data.sequence in e.images or "image" in e.images][: data.limit]
    if not entries:
        request = f"sequence {data.sequence!r}, split {data.split!r}"
        raise ValueError(f"{data.root}: expected scans of {request} in layout {listing.layout}, found none")
    groups = {listing.layout: entries}
    if data.by_group:
        names = dict.fromkeys(e.group or listing.layout for e in entries)
        groups = {name: [e for e in entries if (e.group or listing.layout) == name] for name in names}
    return [
        _make_chunk(f"{kind}-{number:04}", kind, chunk, data)
        for kind, members in groups.items()
        for number, chunk in enumerate(members[i : i + CHUNK] for i in range(0, len(members), CHUNK))
    ]


def _make_chunk(name: str, kind: str, entries: Sequence[Entry], data: DataConfig) -> TestSet:
    files = [f for e in entries for f in (_find_scan(e, data), e.lesion, e.brain) if f is not None]
    choices = [(e.name, e.index, e.positive, e.ignored) for e in entries]
    digest = hash_values(choices, [hash_file(f) for f in files], data.size)
    return TestSet(name, kind, partial(_read_items, entries, data), digest)


def _read_items(entries: Sequence[Entry], data: DataConfig) -> list[TestItem]:
    return [read_item(entry, data) for entry in entries]


def _find_scan(entry: Entry, data: DataConfig) -> Path:
    return entry.images.get(data.sequence) or entry.images["image"]


def read_item(entry: Entry, data: DataConfig) -> TestItem:
    """Read one scan with its masks.

    Raises:
        ValueError: If its files cannot be used together.
        OSError: If one cannot be read.
    """
    path = _find_scan(entry, data)
    if entry.index is not None:
        raise ValueError(f"{path}: expected a file for each scan, found a file of many slices")
    volume = Volume.load(path) if is_volume_name(path) else None
    values = volume.data[0] if volume is not None else read_grey_image(path).numpy()
    scan = volume if volume is not None else torch.from_numpy(values)[None]
    brain = values > 0 if entry.brain is None else _read_mask(entry.brain, volume, values) > 0
    lesion = np.zeros_like(values) if entry.lesion is None else _read_mask(entry.lesion, volume, values)
    ignored_mask = np.isin(lesion, entry.ignored) if entry.ignored else None
    truth = _select_lesion(lesion, entry)
    return TestItem(entry.name, entry.subject, scan, truth, brain, entry.group, ignored_mask, entry.label)


def _select_lesion(lesion: NDArray[np.float32], entry: Entry) -> Bools:
    """Return where a mask has one of the values that mean a lesion."""
    if entry.positive is not None:
        return np.isin(lesion, entry.positive)
    return (lesion > 0) & ~np.isin(lesion, entry.ignored)


def _read_mask(path: Path, volume: Volume | None, like: NDArray[np.float32]) -> NDArray[np.float32]:
    if volume is not None:
        mask = Volume.load(path, allow_constant=True, options=volume.options)
        require_same_grid(mask, volume)
        return np.asarray(mask.data[0])
    values = read_pixels(path).astype(np.float32)
    if values.shape != like.shape:
        raise ValueError(f"{path}: expected the shape of the slice {like.shape}, found {values.shape}")
    return values
