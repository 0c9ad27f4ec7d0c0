"""How far long work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from diffad.io.console import QUIET, get_console
from diffad.io.progress import SILENCE_SECONDS

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds after which a bar appears."""


def track(items: Sequence[T], what: str) -> Iterator[T]:
    """Yield ``items``; if that takes long, say on stderr how far it is.

    A terminal shows a bar. A pipe or a program gets a line every ten seconds, the event "progress", and one
    more at the end of work that had one.

    Args:
        items: Items to work on.
        what: Words before the bar.
    """
    talk = get_console()
    if sys.stderr.isatty() and not talk.as_json and talk.level != QUIET:
        return _show_bar(items, what)
    return _say_lines(items, what)


def _show_bar(items: Sequence[T], what: str) -> Iterator[T]:
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


def _say_lines(items: Sequence[T], what: str) -> Iterator[T]:
    start = last = time.monotonic()
    total, spoke = len(items), False
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SILENCE_SECONDS or (spoke and done == total):
            last, spoke, seconds = now, True, now - start
            text = f"{what}: {done} of {total}, {_describe_rest(seconds, done, total)}"
            get_console().emit("progress", text, what=what, done=done, total=total, seconds=round(seconds, 1))


def _describe_rest(seconds: float, done: int, total: int) -> str:
    rest = seconds / done * (total - done)
    return f"about {rest:.0f} s to go" if done < total else f"{seconds:.0f} s in all"
