"""What was done to a scan, step by step, as JSON keeps it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Record:
    """Collects steps and warnings.

    Args:
        **about: What holds for all steps.
    """

    def __init__(self, **about: Any) -> None:
        self.about, self.steps, self.warnings = about, list[dict[str, Any]](), list[str]()

    @contextmanager
    def step(self, name: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Time one step; what the caller puts into the dict is kept with it."""
        began, found = time.perf_counter(), dict[str, Any]()
        yield found
        seconds = round(time.perf_counter() - began, 3)
        self.steps.append({"step": name, **options, **found, "seconds": seconds})

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.warnings.append(message)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        seconds = round(sum(step["seconds"] for step in self.steps), 3)
        return {**self.about, "steps": self.steps, "warnings": self.warnings, "seconds": seconds}
