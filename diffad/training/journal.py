"""The log of a run: JSONL, TensorBoard and a progress bar."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from diffad.config import Config
from diffad.io.atomic import UnwritableError, write_text
from diffad.io.console import QUIET, get_console
from diffad.io.files import require_file
from diffad.training.state import RunState
from diffad.training.step_lines import StepLines
from diffad.training.turns import trains_in_turns


def make_accelerator(config: Config) -> Any:
    """Build the accelerator for one process or many, with TensorBoard as its tracker."""
    from accelerate import Accelerator, DistributedDataParallelKwargs

    # a step that moves one part leaves the weights of the others without a gradient
    handlers = [DistributedDataParallelKwargs(find_unused_parameters=True)] if trains_in_turns(config) else []
    return Accelerator(
        cpu=config.train.device == "cpu",
        mixed_precision=config.train.mixed_precision,
        log_with="tensorboard",
        kwargs_handlers=handlers,
        project_dir=str(Path(config.output) / config.name),
    )


class RunLog:
    """Writes the log of a run, one line a step, from its main process.

    Args:
        trainer: The run.
        is_resumed: Whether it goes on from a checkpoint; log lines after that are dropped and written anew.
    """

    def __init__(self, trainer: RunState, is_resumed: bool) -> None:
        self.trainer, self.is_resumed = trainer, is_resumed
        self.is_main = trainer.accelerator.is_main_process
        self.path = trainer.folder / "log.jsonl"

    def __enter__(self) -> RunLog:
        config = self.trainer.config
        if self.is_main:
            self.trainer.folder.mkdir(parents=True, exist_ok=True)
            settings = yaml.safe_dump(config.to_dict(), sort_keys=False)
            write_text(self.trainer.folder / "config.yaml", settings)
            write_text(self.path, "".join(f"{line}\n" for line in self._read_earlier_lines()))
            self._file = self.path.open("a", encoding="utf-8")
            self._bar = self._start_bar(config.train.steps)
            self._lines = StepLines(self.trainer, self._bar.disable)
        self.trainer.accelerator.init_trackers("tensorboard")
        return self

    def say_start(self) -> None:
        """Say in the main process what is trained, once it can be."""
        if self.is_main:
            self._lines.say_start(self.is_resumed)

    def _read_earlier_lines(self) -> list[str]:
        """Return the whole log lines up to the checkpoint; a killed run may have left half a line."""
        if not (self.is_resumed and self.path.exists()):
            return []
        lines = require_file(self.path).read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if 0 < _parse_step(line) <= self.trainer.step]

    def _start_bar(self, steps: int) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        note = TextColumn("{task.fields[note]}")
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note)
        talk = get_console()
        disable = not sys.stderr.isatty() or talk.as_json or talk.level == QUIET
        bar = Progress(*columns, console=Console(file=sys.stderr), disable=disable)
        bar.start()
        self._task = bar.add_task("training", total=steps, completed=self.trainer.step, note="")
        return bar

    def write(self, step: int, report: dict[str, float]) -> None:
        """Log one step; nine digits tell any two float32 losses apart.

        Raises:
            UnwritableError: If the log cannot be written.
        """
        if self.is_main:
            line = json.dumps({"step": step, **{k: float(f"{v:.9g}") for k, v in report.items()}})
            try:
                self._file.write(f"{line}\n")
                self._file.flush()
            except OSError as error:
                raise UnwritableError(error.errno, error.strerror, str(self.path)) from error
            self._bar.update(self._task, completed=step, note=f"loss {report['loss']:.4f}")
            self._lines.say_step(step, report)
        self.trainer.accelerator.log(report, step=step)

    def __exit__(self, *error: object) -> None:
        if self.is_main:
            self._bar.stop()
            with suppress(OSError):  # what could not be written was said when it was tried
                self._file.close()


def _parse_step(line: str) -> int:
    """Return the step of a log line, 0 for a broken one."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return 0
