"""A progress bar that appears where work takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from diffad.io.console import QUIET, get_console

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds after which a bar appears."""


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield ``items``; if that takes long and stderr is a terminal, show a progress bar on it.

    Args:
        items: Items to work on.
        what: Words before the bar.
    """
    talk = get_console()
    if not sys.stderr.isatty() or talk.as_json or talk.level == QUIET:
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(file=sys.stderr), transient=True)
    task, start = bar.add_task(what, total=len(items)), time.monotonic()
    try:
        for item in items:
            yield item
            bar.advance(task)
            if time.monotonic() - start > PATIENCE:
                bar.start()
    finally:
        bar.stop()
