"""What the loop, the log and the objective of a run rely on; a trainer is built in ``training.trainer``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from diffad.config import Config
from diffad.data.items import Dataset
from diffad.models.coding import Coding
from diffad.protocols import NoiseGenerator, Sampler
from diffad.schedule import Schedule
from diffad.training.batch import MicroBatch
from diffad.training.reflow import Teacher


class RunState(Protocol):
    """How far a run is, and where it writes.

    Args:
        config: The experiment.
        accelerator: The processes it runs on.
        folder: Its folder.
        step: Optimiser steps that were taken.
        seconds: Wall time they took, in s.
    """

    config: Config
    accelerator: Any
    folder: Path
    step: int
    seconds: float


class SteppingRun(RunState, Protocol):
    """A run that takes steps and saves its state."""

    optimizer: Any

    def update(self, micro_batches: Sequence[MicroBatch]) -> float:
        """Take one optimiser step and return its loss, averaged over all processes."""
        ...

    def save(self) -> None:
        """Write a checkpoint."""
        ...


class NetworkRun(RunState, Protocol):
    """A run that trains the network of an experiment; this is all that its objective may ask for.

    Args:
        scheduler: The diffusers scheduler.
        schedule: Amplitudes by level.
        noise: Draws the noise of the examples.
        sampler: Makes the examples, where it has a way of its own.
        pool: Images that corruptions blend patches from.
        coding: What the network sees in the place of images.
        teacher: Whose way back is learned; none learns from the scans.
        training_data: What it trains on; none before it was looked at.
        network: The network as it trains, wrapped for several processes.
        ema_network: One of the same architecture for the averaged weights; see ``refresh_ema_network``.
    """

    scheduler: Any
    schedule: Schedule
    noise: NoiseGenerator
    sampler: Sampler
    pool: list[Tensor]
    coding: Coding
    teacher: Teacher | None
    training_data: Dataset | None
    network: Any
    ema_network: Any

    @property
    def unwrapped(self) -> Any:
        """The network without the wrappers of several processes."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        ...

    def refresh_ema_network(self) -> Any:
        """Copy the averaged weights of now into the network that holds them, and return it."""
        ...
