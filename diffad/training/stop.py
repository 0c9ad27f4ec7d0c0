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
        announce: Tell the user what happens.
    """

    def __init__(self, announce: bool = True) -> None:
        self.announce = announce
        self._time: float | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._time is not None and now - self._time > RELAY:
            raise KeyboardInterrupt("stopped at once; the last checkpoint is kept")
        if self._time is None:
            self._time = now
            if self.announce:  # a handler may interrupt a print, so it must not print itself
                os.write(2, b"\nfinishing this step and saving; a second Ctrl-C stops at once\n")

    def check(self, accelerator: Any) -> bool:
        """Tell whether any process was asked to stop; all processes must call this together."""
        request = torch.tensor(float(self._time is not None), device=accelerator.device)
        return bool(accelerator.reduce(request, "sum") > 0)
