"""The same scan under two names: found by content, reported within a split, refused across splits."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from diffad.data.items import DataError
from diffad.data.picture import SUFFIXES, read_image
from diffad.data.volume import Array, Volume

Stamp = tuple[tuple[str, int, int], ...]
# A file that has not changed has the same content; a second split asks for the first one's again.
_KNOWN: dict[Stamp, str] = {}


def stamp_files(files: Iterable[Path]) -> Stamp:
    """Return path, size and time of change (ns) of files: if these stay, so does the content."""
    stats = [(path.resolve(), path.stat()) for path in files]
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
    if key not in _KNOWN:
        picture = files[0].suffix.lower() in SUFFIXES
        data = read_image(files[0]) if picture else Volume.load(list(files), allow_constant=True).data
        _KNOWN[key] = hash_voxels(data)
    return _KNOWN[key]


def remember(files: Sequence[Path], known: str) -> None:
    """Note the digest of a scan that was read anyway, so that ``hash_scan`` need not read it."""
    _KNOWN[stamp_files(files)] = known


def find_duplicates(paths: Iterable[Path | str]) -> list[list[Path]]:
    """Return groups of images or volumes whose voxels are equal, whatever their name and compression.

    Args:
        paths: Image or NIfTI files.

    Raises:
        ValueError: If a file cannot be read; the message names it.
    """
    return group_equal({path: hash_scan([path]) for path in map(Path, paths)})


def group_equal(digests: Mapping[Path, str]) -> list[list[Path]]:
    """Return the paths that share a digest, in groups of two or more."""
    found: dict[str, list[Path]] = {}
    for path, value in digests.items():
        found.setdefault(value, []).append(path)
    return [sorted(group) for group in found.values() if len(group) > 1]


def report_duplicates(splits: Mapping[str, Mapping[Path, str]], split: str) -> None:
    """Warn of duplicates inside ``split``, and refuse those that lie in two splits.

    Args:
        splits: Digest of each scan, by split.
        split: The split that is being loaded.

    Raises:
        DataError: If the content of a scan is in two splits; all such groups are listed.
    """
    home = {path: name for name, digests in splits.items() for path in digests}
    found = group_equal({path: value for digests in splits.values() for path, value in digests.items()})
    if across := [group for group in found if len({home[path] for path in group}) > 1]:
        listed = "; ".join(" = ".join(f"{path} ({home[path]})" for path in group) for group in across)
        raise DataError(f"expected each scan in one split, got the same content in two: {listed}")
    if within := [group for group in found if home[group[0]] == split]:
        listed = "; ".join(" = ".join(map(str, group)) for group in within)
        warnings.warn(f"the same scan under several names: {listed}", stacklevel=2)
