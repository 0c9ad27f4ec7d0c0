"""What became of many scans that were to be filled, or scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffad.io.terminal import format_error, say


@dataclass
class FillSummary:
    """Names of the scans by their outcome, and the reasons of the failed ones.

    Args:
        fills: Scans that were filled.
        former_fills: Scans that were filled before.
        failures: Why each of the others was not.
    """

    fills: list[str] = field(default_factory=list)
    former_fills: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def fail(self, name: str, error: Exception) -> None:
        """Say at once that a scan cannot be used, and keep why."""
        self.failures[name] = format_error(error)
        say(f"failed {name}: {self.failures[name]}", error)

    def to_dict(self) -> dict[str, Any]:
        """Return what programs are told."""
        return {"done": self.fills, "done_before": self.former_fills, "failed": [*self.failures]}

    def __str__(self) -> str:
        count = len(self.fills) + len(self.former_fills)
        return f"filled {count} of {count + len(self.failures)} scans"
