"""The loop of every training run: update, validate, log, save, and stop when asked to."""

from __future__ import annotations

import time
from collections.abc import Callable

from diffad.data.items import Dataset
from diffad.training.journal import RunLog
from diffad.training.state import SteppingRun
from diffad.training.stop import Interrupted, StopSignal
from diffad.training.stream import Stream, make_loader


def fit(
    trainer: SteppingRun,
    data: Dataset,
    validate: Callable[[], dict[str, float]],
    log: RunLog,
    stop: StopSignal,
) -> None:
    """Take the steps that a run still has to take.

    Args:
        trainer: State of the run.
        data: Training items.
        validate: Validates; called in every process, and what it returns is logged.
        log: Where steps are written.
        stop: Whether a signal asked to stop.

    Raises:
        Interrupted: If it did; a checkpoint was saved.
    """
    train, accelerator = trainer.config.train, trainer.accelerator
    steps, process = (trainer.step, train.steps), (accelerator.process_index, accelerator.num_processes)
    stream = Stream(data, trainer.config.seed)
    batches = iter(make_loader(stream, steps, train.batch_size, train.accumulate, *process, train.workers))
    log.say_start()
    start = time.monotonic() - trainer.seconds
    while trainer.step < train.steps:
        loss = trainer.update([next(batches) for _ in range(train.accumulate)])
        trainer.seconds = time.monotonic() - start
        report = {"loss": loss, "lr": trainer.optimizer.param_groups[0]["lr"], "seconds": trainer.seconds}
        if _is_due(trainer, train.validate_every):
            report |= validate()
        log.write(trainer.step, report)
        must_stop = stop.check(accelerator)
        if must_stop or _is_due(trainer, train.checkpoint_every):
            trainer.save()
        if must_stop:
            raise Interrupted(f"stopped after step {trainer.step}, which is saved; the same command goes on")


def _is_due(trainer: SteppingRun, every: int) -> bool:
    return trainer.step % every == 0 or trainer.step == trainer.config.train.steps
