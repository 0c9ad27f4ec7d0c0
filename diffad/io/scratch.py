"""Hidden folders that files are written into before they are put in their place, one for each program."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = ".partial"
"""End of the names of folders that are being written."""


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
        with suppress(FileNotFoundError):  # another program took it for a leftover before it was held
            handle = _hold_folder(partial)
            if os.fstat(handle).st_nlink:
                return partial, handle
            os.close(handle)


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
