"""Which process does what: unit i belongs to process i % n, and files are the exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch

T = TypeVar("T")

PATIENCE = timedelta(days=14)
"""How long processes wait for each other: as long as the slowest training takes."""


@dataclass(frozen=True)
class Process:
    """One of several processes.

    Args:
        rank: Number of this process, from 0.
        world_size: How many processes there are.
        device: Where its networks live.
        wait: Waits until all processes have come so far.
        gather: Takes a list of every process and returns them joined, in the order of the processes.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    wait: Callable[[], None] = lambda: None
    gather: Callable[[list[Any]], list[Any]] = lambda items: items

    @classmethod
    def from_launcher(cls) -> Process:
        """Ask ``accelerate launch`` or ``torchrun``; alone without them."""
        from accelerate import PartialState
        from accelerate.utils import gather_object

        # without a GPU accelerate joins processes only where it is told to use the CPU
        state = PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
        wait = state.wait_for_everyone
        return cls(state.process_index, state.num_processes, state.device, wait, gather_object)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that gathers and reports."""
        return self.rank == 0

    def shard(self, units: Sequence[T]) -> list[T]:
        """Return the units of work that fall to this process."""
        return list(units[self.rank :: self.world_size])
