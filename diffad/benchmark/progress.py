"""How far a benchmark is: a bar on a terminal, one line for each finished unit elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from diffad.benchmark.units import WorkUnit
from diffad.io.console import QUIET, get_console
from diffad.io.escape import escape_text
from diffad.io.terminal import plain_text, say


class ProgressBar:
    """Counts units.

    Args:
        noun: What is counted, such as "maps".
        total: How many there are.
    """

    def __init__(self, noun: str, total: int) -> None:
        terminal, talk = Console(stderr=True), get_console()
        is_terminal = terminal.is_terminal and not talk.as_json and talk.level > QUIET
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, TimeRemainingColumn(), console=terminal, disable=not is_terminal)
        self._task = self._bar.add_task(noun, total=total)
        self._noun, self._total, self._count, self._is_terminal = noun, total, 0, is_terminal
        self._start = time.monotonic()

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, unit: WorkUnit) -> None:
        """Show which unit is under way."""
        self._start = time.monotonic()
        self._bar.update(self._task, description=escape(escape_text(f"{self._noun}: {unit}")))

    def finish(self, unit: WorkUnit, note: str = "") -> None:
        """Count one unit; a note stands in for the seconds it took."""
        self._count += 1
        self._bar.update(self._task, completed=self._count)
        if not self._is_terminal:
            note = note or f"{time.monotonic() - self._start:.1f} s"
            _print_line(f"{self._noun} {self._count} of {self._total}: {unit} ({note})")

    def say(self, message: str) -> None:
        """Print one line."""
        if self._is_terminal:
            self._bar.console.print(plain_text(message))
        else:
            _print_line(message)


def _print_line(text: str) -> None:
    """Print in one piece: launchers run Python unbuffered, and `print` writes the end of a line by itself."""
    say(text)
