"""The record of a prepared scan: every step, and the packages and threads behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffad.io.stages import run_stage

STAGES = {"read": "reading", "register": "registration", "resample": "resampling"}
"""What steps are called where people see them, if it is not their own name."""


class Record:
    """Collects the steps of preparing a scan, and warnings.

    Args:
        **info: Entries for all steps together.
    """

    def __init__(self, **info: Any) -> None:
        self.info, self.steps, self.warnings = info, list[dict[str, Any]](), list[str]()

    @contextmanager
    def step(self, name: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Time one step, and record it with what the caller puts into the dictionary."""
        start, entry = time.perf_counter(), dict[str, Any]()
        with run_stage(STAGES.get(name, name)):
            yield entry
        seconds = round(time.perf_counter() - start, 3)
        self.steps.append({"step": name, **options, **entry, "seconds": seconds})

    def warn(self, message: str) -> None:
        """Add a warning."""
        self.warnings.append(message)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values."""
        seconds = round(sum(step["seconds"] for step in self.steps), 3)
        return {**self.info, "steps": self.steps, "warnings": self.warnings, "seconds": seconds}


def count_threads(threads: int = 0) -> int:
    """Return the number of threads; 0 gives one for each core that this process may use."""
    return threads or len(os.sched_getaffinity(0))
