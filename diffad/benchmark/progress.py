"""How far a benchmark is: a bar on a terminal, one line for each finished unit elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class ProgressBar:
    """Counts units.

    Args:
        what: What is counted, such as "maps".
        total: How many there are.
    """

    def __init__(self, what: str, total: int) -> None:
        terminal = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(
            *columns, TimeRemainingColumn(), console=terminal, disable=not terminal.is_terminal
        )
        self._task = self._bar.add_task(what, total=total)
        self._what, self._total, self._done, self._shown = what, total, 0, terminal.is_terminal
        self._began = time.monotonic()

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, unit: Any) -> None:
        """Show what is being made."""
        self._began = time.monotonic()
        self._bar.update(self._task, description=f"{self._what}: {unit}")

    def done(self, unit: Any, told: str = "") -> None:
        """Count one unit; ``told`` stands in for the seconds it took."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if not self._shown:
            took = told or f"{time.monotonic() - self._began:.1f} s"
            print(f"{self._what} {self._done} of {self._total}: {unit} ({took})", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """Print one line."""
        if self._shown:
            self._bar.console.print(message, markup=False)
        else:
            print(message, file=sys.stderr, flush=True)
