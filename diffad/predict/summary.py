"""What became of the scans of a cohort, and what that means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field

POLICIES = ("any", "all", "never")
"""When failed scans make the exit code 1: any of them, only if all failed, or never."""


@dataclass
class CohortSummary:
    """Names of the scans by what became of them.

    Args:
        done: Done in this run.
        skipped: Done before.
        other: Kept, as they were made with other options.
        failed: Failed, with the reason.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every scan now has the results that were asked for."""
        return not self.failed and not self.other

    def __add__(self, summary: CohortSummary) -> CohortSummary:
        return CohortSummary(
            self.done + summary.done,
            self.skipped + summary.skipped,
            self.other + summary.other,
            self.failed | summary.failed,
        )

    def __str__(self) -> str:
        outcomes = {"done": self.done, "done before": self.skipped, "kept from other options": self.other}
        counts = [
            f"{len(names)} {what}" for what, names in {**outcomes, "failed": self.failed}.items() if names
        ]
        return ", ".join(counts) or "nothing to do"

    def failures(self) -> list[str]:
        """Return one line for each failed scan, where there are several to remember."""
        return [f"  {name}: {why}" for name, why in self.failed.items()] if len(self.failed) > 1 else []

    def code(self, policy: str = "any") -> int:
        """Return the exit code.

        Args:
            policy: "any" is 1 unless the cohort is complete, "all" only if no scan has results, "never" is 0.

        Raises:
            ValueError: If the policy is unknown.
        """
        if policy not in POLICIES:
            raise ValueError(f"on_failure: expected {', '.join(POLICIES)}, got {policy!r}")
        usable = bool(self.done or self.skipped)
        bad = {"any": not self.complete, "all": not self.complete and not usable, "never": False}
        return int(bad[policy])
