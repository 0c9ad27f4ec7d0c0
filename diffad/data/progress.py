"""A progress bar for those who wait long enough to want one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds after which a bar appears."""


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield ``items``; if that takes long and someone watches the terminal, show a bar on stderr.

    Args:
        items: What is worked through.
        what: Words before the bar.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=sys.stderr), transient=True)
    task, began = bar.add_task(what, total=len(items)), time.monotonic()
    try:
        for item in items:
            yield item
            bar.advance(task)
            if time.monotonic() - began > PATIENCE:
                bar.start()
    finally:
        bar.stop()
