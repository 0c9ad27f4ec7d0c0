"""Files and folders that appear whole or not at all: written aside, then put in their place by one rename."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from diffad.io.claims import hold_claim
from diffad.io.scratch import scratch_folder, shorten_name

PATIENCE_SECONDS = 60.0
"""How long a program waits for another one that puts a folder in the same place."""


class UnwritableError(OSError):
    """A file or folder that cannot be written; the message names it and the reason."""

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written ({self.strerror})"


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; see ``staged_file``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; see ``staged_file``."""
    with staged_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Lend a hidden path beside ``path``; the file that is written there takes its place at the end.

    Whatever goes wrong, an interrupt too, the file that was there before stays and the new one is removed.

    Args:
        path: File to write or replace; its folder is there.

    Raises:
        UnwritableError: If it cannot be written.
    """
    partial = path.with_name(f".{uuid.uuid4().hex[:8]}.{shorten_name(path.name)}")
    try:
        with _name_target(path):
            yield partial
            put_in_place(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Lend an empty folder beside ``target``; with what is written into it, it takes its place at the end.

    Whatever goes wrong, an interrupt too, the folder that was there before stays and the new one is removed.

    Args:
        target: Folder to write or replace.

    Raises:
        UnwritableError: If it cannot be written.
    """
    with _name_target(target), scratch_folder(target) as partial:
        with _hold_place(target):
            _put_back(target)
        yield partial
        put_in_place(partial, target)


def put_in_place(partial: Path, target: Path) -> None:
    """Let a finished file or folder take the place of ``target``.

    A file is on the disk before it is renamed. A folder replaces another one by two renames; if the second
    fails, the first is undone, and after a kill between them the next ``staged_folder`` undoes it. Programs
    that write the same folder do this one after the other, and the last one stays.

    Raises:
        OSError: If it cannot be renamed; ``target`` is as it was.
    """
    if partial.is_dir():
        with _hold_place(target):
            _replace_folder(partial, target)
        return
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(target)


def _replace_folder(partial: Path, target: Path) -> None:
    _put_back(target)
    try:
        if target.exists():
            target.replace(_earlier(target))
        partial.replace(target)
    finally:
        _put_back(target)


def _put_back(target: Path) -> None:
    """Give the folder from before its name back where nothing took its place; else drop it."""
    earlier = _earlier(target)
    if earlier.exists() and not target.exists():
        earlier.replace(target)
    shutil.rmtree(earlier, ignore_errors=True)


def _earlier(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _hold_place(target: Path) -> AbstractContextManager[None]:
    return hold_claim(target.with_name(f".{shorten_name(target.name)}.lock"), PATIENCE_SECONDS, str(target))


@contextmanager
def _name_target(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnwritableError(getattr(error, "errno", None) or errno.EIO, reason, str(target)) from error
