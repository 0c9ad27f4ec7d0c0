"""Voxels of a file on disk, read as a stream, never more than its header claims."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from nibabel.volumeutils import apply_read_scaling

from diffad.config.reading import ReadOptions
from diffad.data.flat_file import is_flat_name, read_flat_file
from diffad.data.volume_error import VolumeError, demand
from diffad.data.volume_formats import parse_volume_header
from diffad.data.volume_header import VolumeHeader
from diffad.io.files import FileError, open_regular, require_file
from diffad.io.nifti import PARTNERS, stem

CHUNK = 2**22
"""Voxels, or bytes, that are read at once."""
GZIP_RATIO = 1032
"""Bytes that a byte of deflate can hold at most; a header that claims more lies."""
MAX_TRAILER = 2**24
"""Most bytes after the voxels of a compressed file, all of which its checksum covers."""


def read_volume_file(path: Path, options: ReadOptions) -> tuple[VolumeHeader, npt.NDArray[np.float32]]:
    """Read a volume as it is stored: its header, and its voxels (I, J, K) or (I, J, K, C) in float32.

    A file of a few bytes that claims to be large is refused from its header and its size. A compressed file
    is decompressed up to what the header claims, and on to its checksum.

    Args:
        path: NIfTI, Analyze or MGH file; of a pair, either file; or a single slice, see ``read_flat_file``.
        options: How it is read.

    Raises:
        VolumeError: If it is no regular file, is damaged, or holds no volume.
    """
    if is_flat_name(path):
        return read_flat_file(path, options)
    try:
        with ExitStack() as stack:
            return _read(path, options, stack)
    except VolumeError:
        raise
    except FileError as error:
        raise VolumeError(str(error)) from error
    except Exception as error:  # nibabel, zlib and numpy raise a dozen unrelated types on damaged files
        reason = f"{type(error).__name__}: {error}"
        raise VolumeError(f"{path}: expected a readable NIfTI file, found {reason}") from error


def read_volume_header(path: Path, options: ReadOptions) -> VolumeHeader:
    """Read the header of a volume alone.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it cannot be used.
    """
    if is_flat_name(path):
        return read_flat_file(path, options)[0]
    with _open_stream(_find_partner(path, ".hdr") or path) as (stream, _):
        return parse_volume_header(stream, path, options)


def _read(path: Path, options: ReadOptions, stack: ExitStack) -> tuple[VolumeHeader, npt.NDArray[np.float32]]:
    header_path = _find_partner(path, ".hdr") or path
    stream, limit = stack.enter_context(_open_stream(header_path))
    header = parse_volume_header(stream, path, options)
    if image_path := _find_partner(path, ".img"):
        stream, limit = stack.enter_context(_open_stream(image_path))
        stream.read(header.offset)
    claim = header.offset + header.voxels * header.dtype.itemsize
    size = f"a file of {require_file(image_path or path).stat().st_size} bytes"
    demand(claim <= limit, path, f"a readable NIfTI file of {claim} bytes, as its header claims", size)
    voxels = _read_voxels(stream, header)
    if isinstance(stream, gzip.GzipFile):
        _finish(stream, path)
    return header, voxels


def _read_voxels(stream: BinaryIO, header: VolumeHeader) -> npt.NDArray[np.float32]:
    voxels = np.empty(header.voxels, dtype=np.float32)
    slope, inter = (None if v is None else np.asanyarray(v) for v in header.scaling)
    for start in range(0, header.voxels, CHUNK):
        count = min(CHUNK, header.voxels - start)
        content = stream.read(count * header.dtype.itemsize)
        if len(content) != count * header.dtype.itemsize:
            raise EOFError(f"the file ends after {start + len(content) // header.dtype.itemsize} voxels")
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.frombuffer(content, header.dtype)
            voxels[start : start + count] = apply_read_scaling(values, cast(Any, slope), cast(Any, inter))
    return voxels.reshape(header.shape, order="F")


def _finish(stream: BinaryIO, path: Path) -> None:
    """Decompress what follows the voxels, which verifies the checksum."""
    trailer = 0
    while size := len(stream.read(CHUNK)):
        trailer += size
        demand(trailer <= MAX_TRAILER, path, f"at most {MAX_TRAILER} bytes after its voxels", "more")


@contextmanager
def _open_stream(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, decompressed if it is compressed, and say how many bytes it can hold at most."""
    with open_regular(path, "a NIfTI file") as file:
        size = path.stat().st_size
        is_compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not is_compressed:
            yield file, size
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield cast(BinaryIO, stream), size * GZIP_RATIO


def _find_partner(path: Path, kind: str) -> Path | None:
    """Find the header or the image of a pair; none if the file is no pair."""
    ends = (".hdr", *PARTNERS)
    if not path.name.lower().endswith(ends):
        return None
    names = [end for end in ends if end.startswith(kind)]
    candidates = [f"{stem(path)}{case(name)}" for case in (str.lower, str.upper) for name in names]
    if path.name[len(stem(path)) :].lower() in names:
        return path
    matches = [path.with_name(name) for name in candidates if path.with_name(name).exists()]
    part = "header" if kind == ".hdr" else "image"
    demand(bool(matches), path, f"its {part} {candidates[0]} beside it", "none")
    return matches[0]
