"""What happens when a device has no memory left: smaller batches, then the CPU, each said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from diffad.io.terminal import say

T = TypeVar("T")


class Memory:
    """What a device has been found to hold; of one pipeline, for all its runs.

    Args:
        size: Most items at once that were not too many; none before any were.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size
        self.left_device = False

    def bound(self, size: int) -> int:
        """Return how many of ``size`` items are tried at once."""
        return size if self.size is None else min(size, self.size)

    def halve(self, size: int) -> None:
        """Take note that ``size`` items were too many."""
        if self.size is None:
            say(f"warning: no memory for {size} images at once on this device: smaller batches from here on")
        self.size = max(1, min(size, self.size or size) // 2)
        free_memory()

    def give_way(self, size: int, device: torch.device) -> None:
        """Take note that ``size`` items were too many; where that was one, the device is left."""
        if size > 1:
            self.halve(size)
        else:
            self.leave(device)

    def leave(self, device: torch.device) -> None:
        """Take note that the device does not even hold one item."""
        say(
            f"warning: no memory for a single image on {device}: the rest runs on the CPU, which takes longer"
        )
        self.size, self.left_device = None, True
        free_memory()


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that a device has no memory left; a Mac says it in words alone."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


def free_memory() -> None:
    """Give back what was kept for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def try_smaller(run: Callable[[int], T], size: int, memory: Memory) -> T:
    """Run with ever smaller batches until one fits.

    Args:
        run: Called with the number of items at once.
        size: How many to begin with.
        memory: What is known of the device, and learns.

    Raises:
        Exception: What ``run`` raises with one item at once, or that is no lack of memory.
    """
    while True:
        count = memory.bound(size)
        try:
            return run(count)
        except Exception as error:
            if count == 1 or not is_out_of_memory(error):
                raise
        memory.halve(count)
