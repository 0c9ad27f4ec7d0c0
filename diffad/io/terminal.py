"""What the person who waits sees: progress, where there is a terminal, messages, and errors in one line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from diffad.io.escape import escape_text
from diffad.io.wording import MAX_LINE, shorten
from diffad.registry import UnknownNameError

if TYPE_CHECKING:
    from rich.text import Text


class Progress:
    """A bar over all scans that moves with every batch of slices; only shown on a terminal.

    Args:
        scans: How many scans there are.
        others: Tells how many of them other processes have finished.
        quiet: Show nothing, as another process shows it.
    """

    def __init__(self, scans: int, others: Callable[[], int] = lambda: 0, quiet: bool = False) -> None:
        from rich import progress  # here, as help must answer at once
        from rich.console import Console

        columns = progress.TextColumn("{task.description}"), progress.BarColumn()
        times = progress.TaskProgressColumn(), progress.TimeElapsedColumn(), progress.TimeRemainingColumn()
        terminal = Console(stderr=True)
        disable = quiet or not terminal.is_terminal
        self._bar = progress.Progress(*columns, *times, console=terminal, disable=disable)
        self._task = self._bar.add_task("scans", total=scans)
        self._scans, self._finished, self._others = scans, 0, others

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @contextmanager
    def scan(self, name: str) -> Iterator[None]:
        """Count one scan, however it ends."""
        from rich.markup import escape

        count = self._finished + self._others()
        description = f"scan {count + 1} of {self._scans}: {escape(escape_text(name))}"
        self._bar.update(self._task, description=description, completed=count)
        yield
        self._finished += 1
        self._bar.update(self._task, completed=self._finished + self._others())

    def slices(self, total: int) -> SliceProgress:
        """Stand in for the progress bar of a pipeline: ``total`` slices make one scan."""
        return SliceProgress(self, total)

    def advance(self, fraction: float) -> None:
        """Move on by a fraction of a scan."""
        self._bar.advance(self._task, fraction)


class SliceProgress:
    """The slices of one scan, as a fraction of it.

    Args:
        progress: The bar over all scans.
        total: Slices of this scan.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total

    def __enter__(self) -> SliceProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, count: int) -> None:
        """Count slices just finished."""
        self._progress.advance(count / self._total)


def say(message: str, error: BaseException | None = None) -> None:
    """Print one line to stderr; with DIFFAD_DEBUG=1 also where an error came from.

    Names in it cannot command the terminal, nor begin a line of their own.
    """
    _print_line(message, sys.stderr)
    if error is not None and is_debugging():
        traceback.print_exception(error)


def tell(*lines: str) -> None:
    """Print results to stdout, each in one line; see ``say``."""
    for line in lines:
        _print_line(line, sys.stdout)


def plain_text(text: object) -> Text:
    """Return text for a table or a line of rich, in which brackets of names are brackets."""
    from rich.text import Text

    return Text(escape_text(str(text)))


def _print_line(message: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    line = escape_text(message).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(f"{line}\n")
    stream.flush()


def is_debugging() -> bool:
    """Tell whether errors are shown with where they come from."""
    return os.environ.get("DIFFAD_DEBUG", "0") not in ("", "0")


def is_expected(error: BaseException) -> bool:
    """Tell whether an error says what a user can mend; any other is a fault of ours, or of the machine."""
    return isinstance(error, ValueError | OSError | ImportError | UnknownNameError)


def format_error(error: BaseException) -> str:
    """Put an error into one line; one that a user cannot mend says what kind it is."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and type(error).__str__ is OSError.__str__:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if is_expected(error):
        return shorten(text, MAX_LINE) or type(error).__name__
    return shorten(f"{type(error).__name__}: {text}", MAX_LINE) if text else type(error).__name__


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back until a few quick steps that belong together are done."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread hears signals
        yield
        return
    interrupts: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers: dict[Any, Any] = {
        s: signal.signal(s, lambda number, _: interrupts.append(number)) for s in signals
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if interrupts:
        raise KeyboardInterrupt
