"""What is said of a training: that it begins, how far it is, and every validation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from diffad.io.console import get_console
from diffad.io.progress import SILENCE_SECONDS
from diffad.io.terminal import say
from diffad.io.wording import format_duration
from diffad.training.state import RunState


class StepLines:
    """Says how far a run is, in its main process.

    Args:
        run: The run.
        speaks_often: Say a step every ten seconds and the last one, as there is no bar to look at.
    """

    def __init__(self, run: RunState, speaks_often: bool) -> None:
        self.run, self.speaks_often = run, speaks_often
        self._first_step, self._start = run.step, time.monotonic()
        self._last_words = self._start

    def say_start(self, is_resumed: bool) -> None:
        """Say what is trained and where it goes.

        Args:
            is_resumed: Whether it goes on from a checkpoint.
        """
        config, train = self.run.config, self.run.config.train
        how = f"{train.steps} steps of {train.batch_size}"
        how = f"from step {self.run.step} on, {how}" if is_resumed else how
        device = self.run.accelerator.device
        say(f"training {config.name} on {device}: {how}; log and checkpoints go to {self.run.folder}")

    def say_step(self, step: int, report: Mapping[str, float]) -> None:
        """Say a step if nothing was said for long, the last one, and what a validation found.

        Args:
            step: Steps that were taken.
            report: What was measured of it.
        """
        now, steps = time.monotonic(), self.run.config.train.steps
        is_due = self.speaks_often and (now - self._last_words >= SILENCE_SECONDS or step == steps)
        if not is_due and "val_loss" not in report:
            return
        self._last_words = now
        words = [f"step {step} of {steps}", f"loss {report['loss']:.4f}"]
        if "val_loss" in report:
            words.append(f"validation loss {report['val_loss']:.4f}")
        if step < steps:
            pace = (now - self._start) / max(1, step - self._first_step)
            words.append(f"about {format_duration(pace * (steps - step))} to go")
        fields: dict[str, Any] = {"step": step, "steps": steps, **report}
        get_console().emit("step", ", ".join(words), **fields)
