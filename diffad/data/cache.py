"""Prepared scans on disk, so that the next start need not prepare them again."""

from __future__ import annotations

import hashlib
import json
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
from diffad.io.atomic import staged_file

FORMAT = 4
"""Number of the way in which slices are cut and placed; a new number keeps old files from being used."""
DAMAGE_ERRORS = (SafetensorError, OSError, KeyError, TypeError, ValueError)
"""What reading a damaged file may raise."""


@dataclass(frozen=True)
class CachedScan:
    """One scan in the space of the model.

    Args:
        image: Intensities in [0, 1], (N, C, *S).
        mask: Brain mask, (N, 1, *S), uint8 in {0, 1}.
        digest: Digest of the voxels as they lie on disk.
        warnings: What a reader should know of how it was read.
        places: Orientation and position of each slice, (N, 2), see ``diffad.data.place``.
        further: Slices that are only neighbours of others, (M, C, *S); none where there are no neighbours.
        rows: Numbers of the neighbours of each slice among the N and the M beyond them, (N, 2 N'), or none.
    """

    image: Tensor
    mask: Tensor
    digest: str
    places: Tensor
    warnings: tuple[str, ...] = ()
    further: Tensor | None = None
    rows: Tensor | None = None

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors that there are, by name."""
        names = ("image", "mask", "places", "further", "rows")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class Cache:
    """Keeps prepared scans in a folder that may be deleted at any time.

    Files are safetensors, written whole or not at all. Which one belongs to a scan follows from the path,
    size and time of change of its files, and from all options that decide how it is prepared.

    Args:
        folder: Folder of the files, made if absent; none keeps nothing.
        options: Options that decide how scans are prepared, as plain values.
    """

    def __init__(self, folder: Path | None, options: dict[str, Any]) -> None:
        self.folder = folder
        self.options = options

    def load_or_make(self, files: Sequence[Path], make: Callable[[], CachedScan]) -> CachedScan:
        """Return the prepared scan, from disk or newly made; a damaged file is replaced with a warning.

        Raises:
            OSError: If the folder cannot be written; the message names the file.
        """
        if self.folder is None:
            return make()
        path, key = self._locate(self.folder, files)
        if path.exists():
            try:
                return _read_cached(path, key)
            except DAMAGE_ERRORS as error:
                fault = f"found a damaged file ({error}); the scan is prepared again"
                warnings.warn(f"{path}: expected a cached scan, {fault}", stacklevel=2)
        scan = make()
        _write_cached(scan, path, key)
        return scan

    def read_digest(self, files: Sequence[Path]) -> str | None:
        """Return the digest of a cached scan without reading its slices; none if there is no such scan."""
        if self.folder is None:
            return None
        path, key = self._locate(self.folder, files)
        try:
            with safe_open(path, framework="pt") as file:
                notes = file.metadata()
            return str(notes["digest"]) if notes["key"] == key else None
        except DAMAGE_ERRORS:
            return None

    def _locate(self, folder: Path, files: Sequence[Path]) -> tuple[Path, str]:
        text = json.dumps([FORMAT, stamp_files(files), self.options], sort_keys=True)
        key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return folder / f"{files[0].name.split('.')[0]}-{key[:16]}.safetensors", key


def _read_cached(path: Path, key: str) -> CachedScan:
    with safe_open(path, framework="pt") as file:
        notes = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    scan = CachedScan(**tensors, digest=notes["digest"], warnings=tuple(json.loads(notes["warnings"])))
    if notes["key"] != key or int(notes["crc"]) != _compute_crc(*scan.tensors.values()):
        raise ValueError("its content does not match its checksum")
    return scan


def _write_cached(scan: CachedScan, path: Path, key: str) -> None:
    notes = {"key": key, "digest": scan.digest, "crc": str(_compute_crc(*scan.tensors.values()))}
    notes["warnings"] = json.dumps(scan.warnings)
    with staged_file(path) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(scan.tensors, partial, metadata=notes)


def _compute_crc(*tensors: Tensor) -> int:
    value = 0
    for tensor in tensors:
        # SafeTensors checks the header and the length only.
        value = zlib.crc32(tensor.contiguous().numpy().data.cast("B"), value)
    return value
