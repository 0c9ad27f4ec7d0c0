"""Stages of the work on one scan, such as reading or registration, told to whoever shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class StageListener(Protocol):
    """Hears of stages, from any thread."""

    def begin_stage(self, scan: str, stage: str) -> None:
        """A stage of a scan begins."""

    def end_stage(self, scan: str, stage: str, seconds: float) -> None:
        """A stage of a scan is over."""


_listeners: list[StageListener] = []
_scan: ContextVar[str] = ContextVar("scan", default="")


@contextmanager
def listen(listener: StageListener) -> Iterator[None]:
    """Tell a listener of all stages until the end of the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def work_on(scan: str) -> Iterator[None]:
    """Count all stages of this thread to a scan until the end of the block."""
    token = _scan.set(scan)
    try:
        yield
    finally:
        _scan.reset(token)


@contextmanager
def run_stage(stage: str) -> Iterator[None]:
    """Time a stage of the scan that this thread works on; outside of any scan nobody is told."""
    scan, start = _scan.get(), time.perf_counter()
    listeners = list(_listeners) if scan else []
    for listener in listeners:
        listener.begin_stage(scan, stage)
    try:
        yield
    finally:
        for listener in listeners:
            listener.end_stage(scan, stage, time.perf_counter() - start)
