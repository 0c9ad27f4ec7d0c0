"""What became of many scans that were to be filled, or scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffad.io.terminal import format_error, say


@dataclass
class FillSummary:
    """Names of the scans by their outcome, and the reasons of the failed ones.

    Args:
        done: Scans that were filled.
        skipped: Scans that were filled before.
        failed: Why each of the others was not.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, name: str, error: Exception) -> None:
        """Say at once that a scan cannot be used, and keep why."""
        self.failed[name] = format_error(error)
        say(f"failed {name}: {self.failed[name]}", error)

    def to_dict(self) -> dict[str, Any]:
        """Return what programs are told."""
        return {"done": self.done, "done_before": self.skipped, "failed": [*self.failed]}

    def __str__(self) -> str:
        count = len(self.done) + len(self.skipped)
        return f"filled {count} of {count + len(self.failed)} scans"
