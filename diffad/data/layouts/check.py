"""What a data set on disk holds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.data.duplicates import group_equal, hash_scan
from diffad.data.image_file import SUFFIXES, read_image
from diffad.data.layouts.base import Entry
from diffad.data.layouts.find import list_entries, recognise
from diffad.data.progress import track
from diffad.data.volume import Volume, require_same_grid


@dataclass(frozen=True)
class Report:
    """What was found.

    Args:
        layout: Name of the layout.
        recognised: All layouts that fit, with how many files speak for each.
        entries: What can be used.
        problems: What is wrong, one line each, the worst first.
        counts: Numbers of subjects, entries, entries by split, with lesion masks, and by sequence.
    """

    layout: str
    recognised: list[tuple[str, int]]
    entries: list[Entry]
    problems: list[str]
    counts: dict[str, int] = field(default_factory=dict)


def check_dataset(root: Path, layout: str | None = None, deep: bool = True) -> Report:
    """Look at a data set; a file that cannot be read is a problem and no end.

    Args:
        root: Its folder, or a table.
        layout: How it lies there; none recognises it.
        deep: Read every file, too: damaged ones, grids and values of masks, the same scan under two names.

    Raises:
        DataError: If nothing can be used.
        UnknownNameError: If there is no such layout.
    """
    known = recognise(root)
    listing = list_entries(root, layout)
    problems = list(listing.problems)
    if deep:
        digests: dict[Path, str] = {}
        for entry in track(listing.entries, "reading"):
            problems = _read(entry, digests) + problems
        problems = _same(listing.entries, digests) + problems
    return Report(listing.layout, known, listing.entries, problems, _counted(listing.entries))


def _counted(entries: Sequence[Entry]) -> dict[str, int]:
    found = {"subjects": len({e.subject for e in entries}), "entries": len(entries)}
    found |= {f"split {k}": n for k, n in sorted(Counter(e.split for e in entries if e.split).items())}
    found |= {"with a lesion mask": sum(e.lesion is not None for e in entries)}
    found |= {
        f"label {k}": n for k, n in sorted(Counter(e.label for e in entries if e.label is not None).items())
    }
    found |= {f"sequence {k}": n for k, n in sorted(Counter(s for e in entries for s in e.images).items())}
    return found


def _read(entry: Entry, digests: dict[Path, str]) -> list[str]:
    """Read the files of one entry, and say what is wrong with them."""
    problems: list[str] = []
    images: dict[Path, Any] = {}
    for path in entry.images.values():
        if path.suffix == ".h5":
            continue
        try:
            images[path] = _loaded(path)
            if path not in digests:
                digests[path] = hash_scan([path])
        except (ValueError, OSError) as error:
            problems.append(" ".join(str(error).split()))
    first = next(iter(images.values()), None)
    for kind, mask in (("lesion", entry.lesion), ("brain", entry.brain)):
        if mask is not None and first is not None:
            problems += _mask(kind, mask, entry, first)
    return problems


def _mask(kind: str, path: Path, entry: Entry, image: Any) -> list[str]:
    try:
        mask = _loaded(path)
        if isinstance(mask, Volume) and isinstance(image, Volume):
            require_same_grid(mask, image)
    except (ValueError, OSError) as error:
        return [" ".join(str(error).split())]
    values, expected = _voxels(mask), _voxels(image).shape[1:]
    if values.shape[1:] != expected:
        return [f"{path}: expected a mask {expected} like its image, found {values.shape[1:]}"]
    if not values.any():
        return [f"{path}: empty, though its label is 1"] if kind == "lesion" and entry.label == 1 else []
    levels = np.unique(values)
    allowed = {0, 1, *(entry.positive or ()), *entry.ignored}
    if isinstance(mask, Volume) or set(levels.tolist()) <= allowed or len(levels) == 2:
        return []
    return [f"{path}: expected two values, found {len(levels)}; all above 0 count"]


def _loaded(path: Path) -> Any:
    if path.suffix.lower() in SUFFIXES:
        return read_image(path)
    return Volume.load(path, allow_constant=True)


def _voxels(loaded: Any) -> NDArray[Any]:
    return np.asarray(loaded.data if isinstance(loaded, Volume) else loaded)


def _same(entries: Sequence[Entry], digests: dict[Path, str]) -> list[str]:
    """Say which scans are there under two names; those in two splits or of two subjects first."""
    home = {path: e for e in entries for path in e.images.values()}
    lines = []
    for group in group_equal(digests):
        splits = {home[path].split for path in group}
        where = f", in splits {', '.join(sorted(map(str, splits)))}" if len(splits) > 1 else ""
        lines.append((not where, f"the same scan under several names{where}: {', '.join(map(str, group))}"))
    return [line for _, line in sorted(lines)]
