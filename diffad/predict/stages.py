"""Reading, network and writing at the same time, with no more voxels in memory than stated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

VOXELS = 48_000_000
"""Voxels in memory at once, over the scan being read, the one at the network and the one being written.

Three scans of 256 x 256 x 244 fit; a scan that is larger goes through alone.
"""


class BudgetClosed(Exception):  # noqa: N818 (no error: the work is over)
    """There is no use in waiting any more."""


class MemoryBudget:
    """Room for so many voxels; whoever needs more waits, but a single scan always fits.

    Args:
        limit: Voxels that fit at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used, self._closed = limit, 0, False
        self._changed = threading.Condition()

    def acquire(self, voxels: int) -> None:
        """Wait for room.

        Raises:
            BudgetClosed: If there will be none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self.used or self.used + voxels <= self.limit)
            if self._closed:
                raise BudgetClosed
            self.used += voxels

    def release(self, voxels: int) -> None:
        """Give room back."""
        with self._changed:
            self.used -= voxels
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def run_overlapped(
    items: Sequence[A],
    read: Callable[[A], B],
    work: Callable[[A, B], C],
    write: Callable[[A, C], None],
    voxels: Callable[[A], int],
    limit: int = VOXELS,
) -> None:
    """Take items through three stages, in order; the next is read while one is worked on and another written.

    ``work`` runs in the calling thread, as signals reach only the main one. Whatever a stage raises ends it
    all, after what is being written is finished.

    Args:
        items: What goes through.
        read: First stage, in a thread of its own.
        work: Second stage, with what was read.
        write: Third stage, in a thread of its own.
        voxels: How large an item is.
        limit: Voxels in memory at once.
    """
    budget, sizes = MemoryBudget(limit), [0] * len(items)

    def enter(index: int) -> B:
        sizes[index] = voxels(items[index])
        budget.acquire(sizes[index])
        return read(items[index])

    def leave(index: int, result: C) -> None:
        write(items[index], result)
        budget.release(sizes[index])

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        try:
            _run_stages(items, enter, work, leave, reader, writer)
        finally:
            budget.close()


def _run_stages(
    items: Sequence[A],
    enter: Callable[[int], B],
    work: Callable[[A, B], C],
    leave: Callable[[int, C], None],
    reader: ThreadPoolExecutor,
    writer: ThreadPoolExecutor,
) -> None:
    writing: Future[None] | None = None
    reading = reader.submit(enter, 0) if items else None
    for index, item in enumerate(items):
        assert reading is not None
        futures: list[Future[Any]] = [f for f in (reading, writing) if f is not None]
        wait(futures, return_when=FIRST_COMPLETED)
        if writing is not None and writing.done():
            writing.result()  # a full disk ends it all before more work is done
        read, is_last = reading.result(), index + 1 == len(items)
        reading = None if is_last else reader.submit(enter, index + 1)
        result = work(item, read)
        del read
        if writing is not None:
            writing.result()
        writing = writer.submit(leave, index, result)
        del result
    if writing is not None:
        writing.result()
