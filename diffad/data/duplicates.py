"""The same scan under two names: found by its content, reported in one split, refused in two."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from diffad.data.image_file import SUFFIXES, read_image
from diffad.data.items import DataError
from diffad.data.volume import Array, Volume
from diffad.io.paths import resolve_path

Stamp = tuple[tuple[str, int, int], ...]
# A file that did not change has the same content; a second split asks for the digests of the first again.
_DIGESTS: dict[Stamp, str] = {}


def stamp_files(files: Iterable[Path]) -> Stamp:
    """Return path, size and time of change (ns) of files; while these stay, so does the content."""
    stats = [(resolve_path(path), path.stat()) for path in files]
    return tuple((str(path), info.st_size, info.st_mtime_ns) for path, info in stats)


def hash_voxels(data: Array | Tensor) -> str:
    """Return a hash of shape and float32 values, as 32 hexadecimal digits."""
    array = np.ascontiguousarray(np.asarray(data), dtype=np.float32)
    return hashlib.blake2b(str(array.shape).encode() + array.tobytes(), digest_size=16).hexdigest()


def hash_scan(files: Sequence[Path]) -> str:
    """Return the digest of a scan: an image, a volume in RAS, or the volumes of several sequences.

    Raises:
        ValueError: If a file cannot be read; the message names it.
    """
    key = stamp_files(files)
    if key not in _DIGESTS:
        is_image = files[0].suffix.lower() in SUFFIXES
        data = read_image(files[0]) if is_image else Volume.load(list(files), allow_constant=True).data
        _DIGESTS[key] = hash_voxels(data)
    return _DIGESTS[key]


def remember(files: Sequence[Path], digest: str) -> None:
    """Store the digest of a scan that was read anyway, so that ``hash_scan`` need not read it."""
    _DIGESTS[stamp_files(files)] = digest


def find_duplicates(paths: Iterable[Path | str]) -> list[list[Path]]:
    """Return groups of images or volumes with equal voxels, whatever their names and compression.

    Args:
        paths: Image or NIfTI files.

    Raises:
        ValueError: If a file cannot be read; the message names it.
    """
    return group_equal({path: hash_scan([path]) for path in map(Path, paths)})


def group_equal(digests: Mapping[Path, str]) -> list[list[Path]]:
    """Return the paths that share a digest, in groups of two or more."""
    groups: dict[str, list[Path]] = {}
    for path, value in digests.items():
        groups.setdefault(value, []).append(path)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def report_duplicates(splits: Mapping[str, Mapping[Path, str]], split: str) -> None:
    """Warn of duplicates inside ``split``, and refuse those that lie in two splits.

    Args:
        splits: Digest of each scan, by split.
        split: The split that is being loaded.

    Raises:
        DataError: If the content of a scan is in two splits; all such groups are listed.
    """
    names = {path: name for name, digests in splits.items() for path in digests}
    groups = group_equal({path: value for digests in splits.values() for path, value in digests.items()})
    if split_groups := [group for group in groups if len({names[path] for path in group}) > 1]:
        text = "; ".join(" = ".join(f"{path} ({names[path]})" for path in group) for group in split_groups)
        raise DataError(f"expected each scan in one split, found the same content in two: {text}")
    if repeats := [group for group in groups if names[group[0]] == split]:
        text = "; ".join(" = ".join(map(str, group)) for group in repeats)
        warnings.warn(
            f"expected each scan once, found the same scan under several names: {text}", stacklevel=2
        )
