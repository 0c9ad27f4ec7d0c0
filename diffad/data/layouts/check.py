"""Checking a data set on disk: what it holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.data.duplicates import group_equal, hash_scan
from diffad.data.grouping import group_warnings
from diffad.data.image_file import SUFFIXES, read_image
from diffad.data.layouts.base import Entry
from diffad.data.layouts.find import list_entries, recognise
from diffad.data.layouts.folders import describe_lost_files
from diffad.data.masks import find_stripped_brain
from diffad.data.oddities import list_oddities
from diffad.data.progress import track
from diffad.data.volume import Volume, require_same_grid


@dataclass(frozen=True)
class DatasetReport:
    """What a data set holds, and what is wrong with it.

    Args:
        layout: Name of the layout.
        recognised: All layouts that fit, with the number of files that speak for each.
        entries: What can be used.
        problems: What is wrong, one line each, the worst first.
        notes: What is odd about scans that can be read, each kind once; no problem by itself, as training on
            whole heads is.
        counts: Numbers of subjects, entries, entries by split, with lesion masks, and by sequence.
    """

    layout: str
    recognised: list[tuple[str, int]]
    entries: list[Entry]
    problems: list[str]
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def check_dataset(root: Path, layout: str | None = None, deep: bool = True) -> DatasetReport:
    """Check a data set; a file that cannot be read is a problem and no error.

    Args:
        root: Its folder, or a table.
        layout: Name of the layout; none recognises it.
        deep: Whether every file is read, to find damaged files, masks that do not fit, and repeated scans.

    Raises:
        DataError: If nothing can be used.
        UnknownNameError: If there is no such layout.
    """
    layouts = recognise(root)
    listing = list_entries(root, layout)
    problems = [*describe_lost_files(root), *listing.problems]
    oddities: dict[str, list[str]] = {}
    if deep:
        digests: dict[Path, str] = {}
        for entry in track(listing.entries, "reading"):
            problems = _check_files(entry, digests, oddities) + problems
        problems = _describe_duplicates(listing.entries, digests) + problems
    counts, notes = _count_entries(listing.entries), group_warnings(oddities, len(oddities))
    return DatasetReport(listing.layout, layouts, listing.entries, problems, counts, notes)


def _count_entries(entries: Sequence[Entry]) -> dict[str, int]:
    counts = {"subjects": len({e.subject for e in entries}), "entries": len(entries)}
    counts |= {f"split {k}": n for k, n in sorted(Counter(e.split for e in entries if e.split).items())}
    counts |= {"with a lesion mask": sum(e.lesion is not None for e in entries)}
    counts |= {
        f"label {k}": n for k, n in sorted(Counter(e.label for e in entries if e.label is not None).items())
    }
    counts |= {f"sequence {k}": n for k, n in sorted(Counter(s for e in entries for s in e.images).items())}
    return counts


def _check_files(entry: Entry, digests: dict[Path, str], oddities: dict[str, list[str]]) -> list[str]:
    """Read the files of one entry, and return what is wrong with them; what is odd is added."""
    problems: list[str] = []
    images: dict[Path, Any] = {}
    for path in entry.images.values():
        if path.suffix == ".h5":
            continue
        try:
            images[path] = _load_image(path)
            if path not in digests:
                digests[path] = hash_scan([path])
        except (ValueError, OSError) as error:
            problems.append(" ".join(str(error).split()))
    first = next(iter(images.values()), None)
    volumes = [image for image in images.values() if isinstance(image, Volume)]
    oddities |= {v.name: _list_oddities(v, entry.brain is not None) for v in volumes}
    for kind, mask in (("lesion", entry.lesion), ("brain", entry.brain)):
        if mask is not None and first is not None:
            problems += _check_mask(kind, mask, entry, first)
    return problems


def _list_oddities(volume: Volume, has_mask: bool) -> list[str]:
    """List what is odd about a scan; without a brain mask also if it still has its skull."""
    brain, warnings = find_stripped_brain(volume.data)
    if has_mask or not brain.any():
        return list(volume.warnings)
    return list(volume.warn(*warnings, *list_oddities(volume, brain)).warnings)


def _check_mask(kind: str, path: Path, entry: Entry, image: Any) -> list[str]:
    try:
        mask = _load_image(path)
        if isinstance(mask, Volume) and isinstance(image, Volume):
            require_same_grid(mask, image)
    except (ValueError, OSError) as error:
        return [" ".join(str(error).split())]
    values, shape = _to_array(mask), _to_array(image).shape[1:]
    if values.shape[1:] != shape:
        return [f"{path}: expected a mask {shape} like its image, found {values.shape[1:]}"]
    if not values.any():
        fault = f"{path}: expected a lesion, as the label is 1, found an empty mask"
        return [fault] if kind == "lesion" and entry.label == 1 else []
    levels = np.unique(values)
    allowed_values = {0, 1, *(entry.positive or ()), *entry.ignored}
    if isinstance(mask, Volume) or set(levels.tolist()) <= allowed_values or len(levels) == 2:
        return []
    return [f"{path}: expected a mask of two values, found {len(levels)}; all above 0 count as lesion"]


def _load_image(path: Path) -> Any:
    if path.suffix.lower() in SUFFIXES:
        return read_image(path)
    return Volume.load(path, allow_constant=True)


def _to_array(image: Any) -> NDArray[Any]:
    return np.asarray(image.data if isinstance(image, Volume) else image)


def _describe_duplicates(entries: Sequence[Entry], digests: dict[Path, str]) -> list[str]:
    """Describe the scans under two names, one line each; those in two splits come first."""
    entry_of = {path: e for e in entries for path in e.images.values()}
    lines = []
    for group in group_equal(digests):
        splits = {entry_of[path].split for path in group}
        place = f", in the splits {' and '.join(sorted(map(str, splits)))}" if len(splits) > 1 else ""
        names = ", ".join(map(str, group))
        lines.append(
            (not place, f"expected each scan once, found the same under several names{place}: {names}")
        )
    return [line for _, line in sorted(lines)]
