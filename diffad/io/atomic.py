"""Files and folders that appear whole or not at all: written aside, then put in their place by one rename."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from diffad.io.claims import hold_claim

PARTIAL = ".partial"
"""End of the names of folders that are being written."""

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


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Lend an empty hidden folder beside ``target``, which is gone afterwards.

    It is called ``.NAME.ID.partial``, with an ID of its own for every call, as several programs may write the
    same target. What killed programs left there is swept up by the next one.

    Raises:
        OSError: If it cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep_leftovers(target)
    partial, handle = _make_held_folder(target)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(handle)


def sweep_leftovers(target: Path) -> None:
    """Remove scratch folders of a target that no living program holds; one that cannot be removed stays."""
    start = f".{shorten_name(target.name)}."
    with suppress(OSError), os.scandir(target.parent) as entries:
        leftovers = [Path(e.path) for e in entries if e.name.startswith(start) and e.name.endswith(PARTIAL)]
        for leftover in leftovers:
            with suppress(OSError):
                handle = _hold_folder(leftover, wait=False)
                shutil.rmtree(leftover, ignore_errors=True)
                os.close(handle)


def shorten_name(name: str, limit: int = 120) -> str:
    """Cut a name to so many bytes at its end, so that a name made of it is not too long for a file system."""
    return os.fsdecode(os.fsencode(name)[-limit:])


def _make_held_folder(target: Path) -> tuple[Path, int]:
    while True:
        partial = target.with_name(f".{shorten_name(target.name)}.{uuid.uuid4().hex[:8]}{PARTIAL}")
        partial.mkdir()
        handle = _hold_folder(partial)
        if os.fstat(handle).st_nlink:
            return partial, handle
        os.close(handle)  # another program took it for a leftover before it was held


def _hold_folder(folder: Path, wait: bool = True) -> int:
    """Mark a folder as in use until the handle is closed, or this program ends, however it does.

    Raises:
        BlockingIOError: If another program holds it, and there is no waiting.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if not wait:  # held, or on a file system without locks: not ours to remove
            os.close(handle)
            raise
    return handle


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
