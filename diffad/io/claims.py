"""Several programs, one folder: who works on what, and who writes a shared file, one at a time."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from diffad.io.files import read_regular, require_file

RUNNING = ".running"
"""Folder for the lock files and the scratch of programs at work in a folder; gone when all have ended."""

POLL_SECONDS = 0.05
"""How often a claim that another program holds is asked for again."""

MAX_HOLDER = 10_000
"""Bytes of a lock file."""

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""Errors of file systems that keep no locks; there a claim is always granted."""


class ClaimedError(OSError):
    """Another program holds the claim; the message says which one, where it said so."""


class Claim:
    """A lock file that names its holder, and that only one program holds at a time.

    The lock is the kernel's, so it ends with the program that holds it, whatever ends that; what a killed
    program leaves behind is a file that nobody holds, and the next one takes it. A folder that is shared by
    several machines needs a file system whose locks reach them all; without, work is done twice, and nothing
    is lost, as everything is written aside first.

    Args:
        path: Lock file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # taken in one thread and given back in another
        self._lock = FileLock(path, thread_local=False)

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the claim.

        Args:
            patience: How long to wait for another holder, in seconds.

        Returns:
            Whether it is held now.

        Raises:
            OSError: If the lock file cannot be made.
        """
        end = time.monotonic() + patience
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(timeout=max(0.0, end - time.monotonic()), poll_interval=POLL_SECONDS)
                self._write_holder()
                return True
            except Timeout:  # is an OSError too
                return False
            except OSError as error:
                if error.errno in NO_LOCKS:
                    return True
                if self.path.parent.exists() and not self.path.parent.is_dir():
                    finding = f"{self.path.parent}: expected a folder for lock files, found a file"
                    raise ClaimedError(errno.ENOTDIR, f"{finding}; move it away") from error
                if error.errno not in (errno.ENOENT, errno.EEXIST) or time.monotonic() > end + 1:
                    raise  # else another holder removed or made the folder just now

    def release(self) -> None:
        """Give the claim back, and remove the lock file; a folder ``RUNNING`` goes with its last one."""
        if not self._lock.is_locked:
            return
        with suppress(OSError):
            self.path.unlink()
        self._lock.release()
        if self.path.parent.name == RUNNING:
            with suppress(OSError):  # another claim is in it
                self.path.parent.rmdir()

    def describe_holder(self) -> str:
        """Return who holds the claim: program number and machine, as far as the lock file says so."""
        try:
            holder = json.loads(read_regular(self.path, MAX_HOLDER))
            return f"process {int(holder['pid'])} on {str(holder['host'])[:80]}"
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return "another process"

    def give_sign(self) -> None:
        """Let others see that this program is alive, by the time of the lock file."""
        with suppress(OSError):
            os.utime(self.path)

    def read_sign(self) -> int:
        """Return what changes with every sign of life of the holder; 0 where there is none."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0

    def _write_holder(self) -> None:
        with suppress(OSError):
            require_file(self.path)
            self.path.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))


@contextmanager
def hold_claim(path: Path, patience: float = 0.0, what: str = "") -> Iterator[None]:
    """Hold the claim at ``path`` for a while.

    Args:
        path: Lock file.
        patience: How long to wait for another holder, in seconds.
        what: What is claimed, for the message.

    Raises:
        ClaimedError: If another program holds it.
    """
    claim = Claim(path)
    if not claim.acquire(patience):
        raise ClaimedError(
            f"{what or path}: expected nobody else at work here, found {claim.describe_holder()}; "
            "wait for it, or end it"
        )
    try:
        yield
    finally:
        claim.release()
