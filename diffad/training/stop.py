"""A clean end on Ctrl-C or SIGTERM: all processes finish the same step, and what they learnt is saved."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import torch

SIGNALS = (signal.SIGINT, signal.SIGTERM)
RELAY = 1.0
"""Seconds within which a repeated signal is taken for the same one: launchers pass on what a terminal sends
to all processes anyway."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and did so with a checkpoint."""


class StopSignal:
    """Notes the first signal, so that the running step can end; a later one stops at once.

    Args:
        loud: Whether to tell the user what happens.
    """

    def __init__(self, loud: bool = True) -> None:
        self.loud = loud
        self._first: float | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is not None and now - self._first > RELAY:
            raise KeyboardInterrupt("stopped at once; the last checkpoint is kept")
        if self._first is None:
            self._first = now
            if self.loud:  # a handler may interrupt a print, so it must not print itself
                os.write(2, b"\nfinishing this step and saving; once more stops at once\n")

    def agreed(self, accelerator: Any) -> bool:
        """Tell whether any process was asked to stop; all processes must call this together."""
        asked = torch.tensor(float(self._first is not None), device=accelerator.device)
        return bool(accelerator.reduce(asked, "sum") > 0)
