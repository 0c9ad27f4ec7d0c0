"""The volumes or images below a folder of training data, and what is passed over there, said once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from diffad.data.image_file import SUFFIXES
from diffad.io.entities import is_companion
from diffad.io.nifti import stem
from diffad.io.own_maps import is_own_map
from diffad.io.search import describe_gaps, describe_listing, list_names
from diffad.io.walk import FolderListing, find_content_gap, iterate_folders, walk_folder

EVERY_VOLUME = "**/*.nii*"
"""The pattern of all volumes, whatever their suffix."""


def search_volumes(root: Path, pattern: str, is_mask: Callable[[Path], bool]) -> list[Path]:
    """List the volumes below a folder that a pattern names, in the order of their paths; links are followed.

    Without a pattern of its own, maps that diffad wrote and files that are no scans by their BIDS names are
    left out. Files without content are left out with a warning, and so is what nothing here reads.

    Args:
        root: The folder.
        pattern: Glob of the volumes relative to the folder; ``EVERY_VOLUME`` takes all, .mgz and pairs too.
        is_mask: Tells which files are masks of these scans, and no scans.
    """
    listing = walk_folder(root)
    chosen_paths = [
        path
        for path in listing.volumes
        if (pattern == EVERY_VOLUME or match_glob(path.relative_to(root).parts, pattern.split("/")))
        and not is_mask(path)
    ]
    if pattern == EVERY_VOLUME:
        results = [p for p in chosen_paths if _is_derived(p) or is_own_map(p)]
        chosen_paths = [p for p in chosen_paths if p not in set(results)]
    else:
        results, listing.others = [], []
    gaps = [path for path in chosen_paths if find_content_gap(path)]
    lines = [*describe_gaps(gaps, len(chosen_paths)), *describe_listing(listing)]
    if results:
        lines.append(f"passed over {len(results)} masks, labels and maps: {list_names(results)}")
    if lines:
        warnings.warn(f"{root}: {'; '.join(lines)}", stacklevel=2)
    return [path for path in chosen_paths if path not in set(gaps)]


def search_images(root: Path, in_folders: bool, is_mask: Callable[[Path], bool]) -> list[Path]:
    """List the images in a folder, in the order of their paths; links are followed.

    Files without content are left out with a warning, and so are images in folders that are not searched.

    Args:
        root: The folder.
        in_folders: Whether the folders in it are searched, too.
        is_mask: Tells which files are masks of these images, and no images.
    """
    listing = FolderListing()
    folders = iterate_folders(root, listing)
    names = sorted(folder / name for folder, files in folders for name in files)
    paths = [path for path in names if path.suffix.lower() in SUFFIXES and not is_mask(path)]
    deep_paths = [] if in_folders else [path for path in paths if path.parent != root]
    paths = [path for path in paths if path not in set(deep_paths)]
    gaps = [path for path in paths if find_content_gap(path)]
    lines = [*describe_gaps(gaps, len(paths), "images"), *describe_listing(listing)]
    if deep_paths:
        lines.append(f"passed over images in folders of it ({len(deep_paths)}): {list_names(deep_paths)}")
    if lines:
        warnings.warn(f"{root}: {'; '.join(lines)}", stacklevel=2)
    return [path for path in paths if path not in set(gaps)]


def holds_images(root: Path) -> bool:
    """Tell whether there are images in a folder or below it."""
    return any(path.suffix.lower() in SUFFIXES for path in walk_folder(root).others)


def _is_derived(path: Path) -> bool:
    """Tell whether a BIDS name says that a file is no scan; a plain ``a_mask`` may be anything here."""
    return stem(path).startswith("sub-") and is_companion(stem(path))


def match_glob(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Tell whether the parts of a path fit those of a glob, where ``**`` is any number of folders."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(match_glob(parts[index:], patterns[1:]) for index in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and match_glob(parts[1:], patterns[1:])
