"""How far the work on many scans is: a bar and the stages at work on a terminal, a line a scan elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from diffad.io.console import NORMAL, QUIET, VERBOSE, get_console
from diffad.io.escape import escape_text
from diffad.io.stages import listen, work_on

SILENCE_SECONDS = 10.0
"""How long nothing is said of a scan where there is no bar to look at."""


class Progress:
    """Shows scans and the stages of the work on them.

    On a terminal a bar moves with every batch of slices, and each stage at work has a line with its time.
    Elsewhere a line is said for every scan, and of a slow one also for its stages.

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
        terminal, console = Console(stderr=True), get_console()
        disable = quiet or not terminal.is_terminal or console.level == QUIET or console.as_json
        self._bar = progress.Progress(*columns, *times, console=terminal, disable=disable)
        self._task = self._bar.add_task("scans", total=scans)
        self._scans, self._finished, self._others = scans, 0, others
        self._is_silent, self._shows_bar, self._concluded = quiet, not disable, 0
        self._times: dict[str, dict[str, float]] = {}
        self._lines: dict[tuple[str, str], Any] = {}
        self._lock, self._last_words = threading.Lock(), time.monotonic()

    def __enter__(self) -> Progress:
        self._exits = ExitStack()
        self._exits.enter_context(listen(self))
        self._exits.enter_context(self._bar)
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @contextmanager
    def scan(self, name: str, concludes: bool = True) -> Iterator[None]:
        """Count one scan, however it ends.

        Args:
            name: Its name.
            concludes: Say at the end that it is done; else ``conclude`` is to be called.
        """
        from rich.markup import escape

        count = self._finished + self._others()
        description = f"scan {count + 1} of {self._scans}: {escape(escape_text(name))}"
        self._bar.update(self._task, description=description, completed=count)
        with work_on(name):
            self._scan = name
            yield
        self._finished += 1
        self._bar.update(self._task, completed=self._finished + self._others())
        if concludes:
            self.conclude(name)

    def conclude(self, name: str, result: str = "", level: int = NORMAL, **fields: Any) -> None:
        """Say what became of a scan and how long its stages took.

        Args:
            name: Its name.
            result: What became of it, in a few words.
            level: How much must be asked for to hear of it; programs hear of all.
            **fields: The same for programs.
        """
        stages = self._times.pop(name, {})
        if self._is_silent:
            return
        times = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.items())
        self._concluded += 1
        words = [f"{min(self._concluded + self._others(), self._scans)} of {self._scans}: {name}"]
        words += [f": {result}"] if result else []
        words += [f" ({times})"] if times else []
        seconds_by_stage = {stage: round(seconds, 3) for stage, seconds in stages.items()}
        level = NORMAL if get_console().as_json else level
        self._say("scan", "".join(words), level, **{"scan": name, **fields, "stages": seconds_by_stage})

    def begin_stage(self, scan: str, stage: str) -> None:
        """Show a stage."""
        from rich.markup import escape

        if self._shows_bar:
            line = escape(escape_text(f"  {scan}: {stage}"))
            self._lines[scan, stage] = self._bar.add_task(line, total=None)

    def end_stage(self, scan: str, stage: str, seconds: float) -> None:
        """Keep how long a stage took, and say it where nothing was said for long."""
        with self._lock:
            times = self._times.setdefault(scan, {})
            times[stage] = times.get(stage, 0.0) + seconds
        if (line := self._lines.pop((scan, stage), None)) is not None:
            self._bar.remove_task(line)
        text = f"{scan}: {stage} took {seconds:.1f} s"
        self._say("stage", text, self._choose_level(), scan=scan, stage=stage, seconds=round(seconds, 3))

    def slices(self, total: int) -> SliceProgress:
        """Stand in for the progress bar of a pipeline: ``total`` slices make one scan."""
        return SliceProgress(self, total)

    def advance(self, position: int, total: int, count: int) -> None:
        """Move on by some slices of the scan at the network.

        Args:
            position: Slices that are finished by now.
            total: Slices of the scan.
            count: How many of them are new.
        """
        self._bar.advance(self._task, count / total)
        scan = getattr(self, "_scan", "")
        if (line := self._lines.get((scan, "slices"))) is not None:
            text = f"{scan}: slices {position}/{total}"
            self._bar.update(line, completed=position, total=total, description=f"  {escape_text(text)}")
        elif not self._shows_bar and self._is_overdue() and position < total:
            self._say("slices", f"{scan}: slices {position}/{total}", scan=scan, done=position, total=total)

    def _is_overdue(self) -> bool:
        return time.monotonic() - self._last_words >= SILENCE_SECONDS

    def _choose_level(self) -> int:
        """Return how much must be asked for to hear of a stage; programs hear of all."""
        return NORMAL if get_console().as_json or (self._is_overdue() and not self._shows_bar) else VERBOSE

    def _say(self, event: str, message: str, level: int = NORMAL, **fields: Any) -> None:
        if self._is_silent:
            return
        if get_console().level >= level:
            self._last_words = time.monotonic()
        get_console().emit(event, message, level=level, **fields)


class SliceProgress:
    """The slices of one scan, as a fraction of it.

    Args:
        progress: The bar over all scans.
        total: Slices of this scan.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __enter__(self) -> SliceProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, count: int) -> None:
        """Count slices just finished."""
        self._done += count
        self._progress.advance(self._done, self._total, count)
