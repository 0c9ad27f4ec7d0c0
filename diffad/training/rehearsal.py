"""A rehearsal of a training: what it would do, and how long it would take, before it is begun."""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from diffad.config import Config
from diffad.io.wording import format_duration
from diffad.training.journal import make_accelerator
from diffad.training.parts import build_data, check_parts
from diffad.training.stream import Stream, make_loader
from diffad.training.trainer import Trainer

STEPS = 3
"""Steps that are taken; the first warms up and does not count."""


@dataclass(frozen=True)
class Rehearsal:
    """What a training would do.

    Args:
        config: All of its settings.
        items: Training items.
        parameters: Weights of the network.
        device: Where it runs.
        step_seconds: Time of one step.
        memory_mb: Most memory that was in use: of the GPU, or of the process.
        loss: Loss of the last step that was taken.
    """

    config: Config
    items: int
    parameters: int
    device: str
    step_seconds: float
    memory_mb: float
    loss: float

    @property
    def total_seconds(self) -> float:
        """Time of all steps, without validation."""
        return self.step_seconds * self.config.train.steps

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for programs."""
        keys = ("items", "parameters", "device", "step_seconds", "memory_mb", "loss", "total_seconds")
        return {"config": self.config.to_dict(), **{key: getattr(self, key) for key in keys}}

    def describe(self) -> list[str]:
        """Say it in lines."""
        steps, size = self.config.train.steps, self.config.train.batch_size
        total = format_duration(self.total_seconds)
        return [
            f"network: {self.parameters:,} weights",
            f"data: {self.items} training items, {size} of them a step",
            f"memory: {self.memory_mb:,.0f} MB on {self.device}",
            f"time: {self.step_seconds:.2f} s a step, {total} for {steps} steps, without validation",
            f"loss: {self.loss:.4f} after {STEPS} steps",
        ]


def rehearse(config: Config) -> Rehearsal:
    """Build all that a training needs and take a few steps, which leave nothing behind.

    Raises:
        ConfigError: If a part cannot be built.
        DataError: If the data cannot be used.
    """
    from accelerate.state import AcceleratorState

    check_parts(config)
    with tempfile.TemporaryDirectory() as folder:
        short_config = replace(config, output=folder)
        accelerator = make_accelerator(short_config)
        try:
            return _take_steps(config, Trainer(short_config, accelerator))
        finally:
            AcceleratorState._reset_state(True)  # else the next run could not choose another precision


def _take_steps(config: Config, trainer: Trainer) -> Rehearsal:
    train, data = config.train, build_data(config, "train")
    build_data(config, "val")
    trainer.inspect(data)
    loader = make_loader(Stream(data, config.seed), (0, STEPS), train.batch_size, train.accumulate, 0, 1, 0)
    batches, times, loss = iter(loader), [], 0.0
    for _ in range(STEPS):
        start = time.perf_counter()
        loss = trainer.update([next(batches) for _ in range(train.accumulate)])
        times.append(time.perf_counter() - start)
    count = sum(weights.numel() for weights in trainer.unwrapped.parameters())
    seconds = sum(times[1:]) / (STEPS - 1)
    return Rehearsal(config, len(data), count, str(trainer.device), seconds, _measure_memory(trainer), loss)


def _measure_memory(trainer: Trainer) -> float:
    if trainer.device.type == "cuda":
        return torch.cuda.max_memory_allocated(trainer.device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def choose_picture(config: Config) -> Path:
    """Return where the picture of a training batch goes if nobody says."""
    return Path(config.output) / config.name / "dry_run.png"
