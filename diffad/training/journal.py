"""What a run tells people while it goes on: JSONL, TensorBoard, a progress bar, and a clean stop on Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType
from typing import Any

from diffad.config import Config


def make_accelerator(config: Config) -> Any:
    """Build the accelerator for one process or many, with TensorBoard as its tracker."""
    from accelerate import Accelerator

    folder = f"{config.output}/{config.name}"
    return Accelerator(
        cpu=config.train.device == "cpu",
        mixed_precision=config.train.mixed_precision,
        log_with="tensorboard",
        project_dir=folder,
    )


class Journal:
    """Writes the log of a run from its main process.

    A first Ctrl-C lets the running step finish and saves a checkpoint; a second one stops at once.

    Args:
        trainer: The run.
        resumed: Whether it goes on from a checkpoint; later log lines are then dropped.
    """

    def __init__(self, trainer: Any, resumed: bool) -> None:
        self.trainer, self.interrupted = trainer, False
        self.main = trainer.accelerator.is_main_process
        self.path = trainer.folder / "log.jsonl"
        self.lines = self._earlier() if resumed else []

    def _earlier(self) -> list[str]:
        """Return the log lines up to the checkpoint; those after it will be written again."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if json.loads(line)["step"] <= self.trainer.step]

    def __enter__(self) -> Journal:
        config = self.trainer.config
        self._handler = signal.signal(signal.SIGINT, self._interrupt)
        if self.main:
            import yaml

            self.trainer.folder.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(config.to_dict(), sort_keys=False)
            (self.trainer.folder / "config.yaml").write_text(text, encoding="utf-8")
            self.path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8")
            self._file = self.path.open("a", encoding="utf-8")
            self._bar = self._progress(config.train.steps)
        self.trainer.accelerator.init_trackers("tensorboard")
        return self

    def _progress(self, steps: int) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
        bar = Progress(*columns, console=Console(file=sys.stderr), disable=not sys.stderr.isatty())
        bar.start()
        self._task = bar.add_task("training", total=steps, completed=self.trainer.step, note="")
        return bar

    def write(self, step: int, report: dict[str, float]) -> None:
        """Log one step."""
        if self.main:
            self._file.write(json.dumps({"step": step, **{k: round(v, 8) for k, v in report.items()}}) + "\n")
            self._file.flush()
            self._bar.update(self._task, completed=step, note=f"loss {report['loss']:.4f}")
        self.trainer.accelerator.log(report, step=step)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._handler)
        if self.main:
            self._bar.stop()
            self._file.close()
