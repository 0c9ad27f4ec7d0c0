"""The loop of every training run: update, look, write down, save, and stop when asked to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from diffad.data.items import Dataset
from diffad.training.journal import RunLog
from diffad.training.stop import Interrupted, StopSignal
from diffad.training.stream import Stream, make_loader


def fit(
    trainer: Any, data: Dataset, look: Callable[[], dict[str, float]], journal: RunLog, stop: StopSignal
) -> None:
    """Take the steps that a run still has to take.

    Args:
        trainer: State of the run, with ``update`` and ``save``.
        data: Training items.
        look: Validates; called in every process, and what it returns is written down.
        journal: Where steps are written.
        stop: Whether a signal asked to stop.

    Raises:
        Interrupted: If it did; a checkpoint was saved.
    """
    train, accelerator = trainer.config.train, trainer.accelerator
    span, here = (trainer.step, train.steps), (accelerator.process_index, accelerator.num_processes)
    stream = Stream(data, trainer.config.seed)
    batches = iter(make_loader(stream, span, train.batch_size, train.accumulate, *here, train.workers))
    began = time.monotonic() - trainer.seconds
    while trainer.step < train.steps:
        loss = trainer.update([next(batches) for _ in range(train.accumulate)])
        trainer.seconds = time.monotonic() - began
        report = {"loss": loss, "lr": trainer.optimizer.param_groups[0]["lr"], "seconds": trainer.seconds}
        if _due(trainer, train.validate_every):
            report |= look()
        journal.write(trainer.step, report)
        halt = stop.agreed(accelerator)
        if halt or _due(trainer, train.checkpoint_every):
            trainer.save()
        if halt:
            raise Interrupted(f"stopped after step {trainer.step}, which is saved; the same command goes on")


def _due(trainer: Any, every: int) -> bool:
    return bool(trainer.step % every == 0 or trainer.step == trainer.config.train.steps)
