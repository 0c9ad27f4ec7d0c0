"""Prepared scans on disk, so that a second start need not cut them again."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import uuid
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffad.data.duplicates import stamp_files

FORMAT = 1
"""Raised whenever slices are cut or placed in another way, so that old files are not used."""
DAMAGED = (SafetensorError, OSError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class CachedScan:
    """One scan in the model's space.

    Args:
        image: Intensities in [0, 1], (N, C, *S).
        mask: Brain mask, (N, 1, *S), uint8 in {0, 1}.
        digest: Digest of the scan's own voxels.
    """

    image: Tensor
    mask: Tensor
    digest: str


class Cache:
    """Keeps prepared scans in a folder that may be deleted at any time.

    Files are safetensors, written whole or not at all. Which one belongs to a scan follows from the path,
    size and time of change of its files, and from all that decides how it is prepared.

    Args:
        folder: Where; made if absent. None keeps nothing.
        options: What decides how scans are prepared, as plain values.
    """

    def __init__(self, folder: Path | None, options: dict[str, Any]) -> None:
        self.folder = folder
        self.options = options

    def prepared(self, files: Sequence[Path], make: Callable[[], CachedScan]) -> CachedScan:
        """Return the prepared scan, from disk or newly made; a damaged file is replaced with a warning.

        Raises:
            OSError: If the folder cannot be written; the message names the file.
        """
        if self.folder is None:
            return make()
        path, key = self._place(self.folder, files)
        if path.exists():
            try:
                return _read(path, key)
            except DAMAGED as error:
                found = f"found a damaged file ({error}); it is rebuilt"
                warnings.warn(f"{path}: expected a cached scan, {found}", stacklevel=2)
        made = make()
        _write(made, path, key)
        return made

    def digest(self, files: Sequence[Path]) -> str | None:
        """Return the digest of a scan that is on disk whole, without reading its slices, or none."""
        if self.folder is None:
            return None
        path, key = self._place(self.folder, files)
        try:
            with safe_open(path, framework="pt") as file:
                notes = file.metadata()
            return str(notes["digest"]) if notes["key"] == key else None
        except DAMAGED:
            return None

    def _place(self, folder: Path, files: Sequence[Path]) -> tuple[Path, str]:
        text = json.dumps([FORMAT, stamp_files(files), self.options], sort_keys=True)
        key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return folder / f"{files[0].name.split('.')[0]}-{key[:16]}.safetensors", key


def _read(path: Path, key: str) -> CachedScan:
    with safe_open(path, framework="pt") as file:
        notes = file.metadata()
        image, mask = file.get_tensor("image"), file.get_tensor("mask")
    if notes["key"] != key or int(notes["crc"]) != _crc(image, mask):
        raise ValueError("its content does not match its checksum")
    return CachedScan(image, mask, notes["digest"])


def _write(found: CachedScan, path: Path, key: str) -> None:
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    notes = {"key": key, "digest": found.digest, "crc": str(_crc(found.image, found.mask))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"image": found.image, "mask": found.mask}, temporary, metadata=notes)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = f"could not write the cache: {getattr(error, 'strerror', None) or error}"
        raise OSError(getattr(error, "errno", None) or errno.EIO, reason, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _crc(*tensors: Tensor) -> int:
    value = 0
    for tensor in tensors:
        # SafeTensors checks the header and the length only.
        value = zlib.crc32(tensor.contiguous().numpy().data.cast("B"), value)
    return value
