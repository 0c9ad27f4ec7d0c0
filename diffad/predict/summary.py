"""What became of the scans of a cohort, and what that means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffad.io.search import list_names
from diffad.predict.results import ResultRow

MOST_SCANS = 3
"""How many scans of a kind are named where one should look first."""


@dataclass
class CohortSummary:
    """Names of the scans by what became of them.

    Args:
        done: Done in this run.
        skipped: Done before.
        other: Kept, as they were made with other options.
        failed: Failed, with the reason.
        busy: Left to another program that was at work on them and did not finish in time.
        absent: Could not be looked at, as a scan or its content is not there, with the reason.
        ignored_files: How many masks and maps among the files were passed over.
        notes: What else a reader of the results should know: who is absent, what was passed over.
        warned_scans: Have results with warnings.
        outside_scans: Are outside what the model knows.
        volumes: Volume of all detections, in ml, by name.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    ignored_files: int = 0
    busy: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warned_scans: list[str] = field(default_factory=list)
    outside_scans: list[str] = field(default_factory=list)
    volumes: dict[str, float] = field(default_factory=dict)

    def count_scan(self, name: str, kind: str, row: ResultRow) -> None:
        """Count a scan by what became of it, the name of a field, and keep what a reader should know of it.

        Args:
            name: The scan.
            kind: The field.
            row: Its row in the table.
        """
        if kind == "failed":
            self.failed[name] = row.error
        else:
            getattr(self, kind).append(name)
        self.warned_scans += [name] if row.warnings else []
        self.outside_scans += [name] if row.domain == "outside" else []
        self.volumes |= {name: float(row.volume_ml)} if row.volume_ml not in ("", None) else {}

    @property
    def complete(self) -> bool:
        """Whether every scan now has the results that were asked for."""
        return not (self.failed or self.other or self.busy or self.absent)

    def __add__(self, summary: CohortSummary) -> CohortSummary:
        return CohortSummary(
            self.done + summary.done,
            self.skipped + summary.skipped,
            self.other + summary.other,
            self.failed | summary.failed,
            self.absent | summary.absent,
            self.ignored_files + summary.ignored_files,
            self.busy + summary.busy,
            [*self.notes, *summary.notes],
            self.warned_scans + summary.warned_scans,
            self.outside_scans + summary.outside_scans,
            self.volumes | summary.volumes,
        )

    def __str__(self) -> str:
        outcomes = {"done": self.done, "done before": self.skipped, "kept from other options": self.other}
        outcomes |= {"left to another run": self.busy, "failed": [*self.failed, *self.absent]}
        counts = [f"{len(names)} {what}" for what, names in outcomes.items() if names]
        note = f" (passed over {self.ignored_files} masks and maps)" if self.ignored_files else ""
        return f"{', '.join(counts) or 'nothing to do'}{note}"

    def failures(self) -> list[str]:
        """Return one line for each failed scan, where there are several to remember."""
        return [f"  {name}: {why}" for name, why in self.failed.items()] if len(self.failed) > 1 else []

    def describe_first(self) -> str:
        """Say how many scans have warnings, and which to look at first and why; nothing for a single scan."""
        if len(self.volumes) < 2 or not self.done:
            return ""
        groups = [(self.outside_scans, "outside the domain of the model")]
        groups += [([name for name in self.warned_scans if name not in self.outside_scans], "with warnings")]
        words = [f"{list_names(names, MOST_SCANS)} ({why})" for names, why in groups if names]
        name = max(self.volumes, key=self.volumes.__getitem__)
        if self.volumes[name] > 0:
            words.append(f"{name} (the most detected, {self.volumes[name]:.2f} ml)")
        counts = [f"{len(names)} {why}" for names, why in groups if names]
        head = f"of {len(self.volumes)} scans with results, {' and '.join(counts)}; " if counts else ""
        return f"{head}look first at {'; '.join(words)}" if words else ""

    def to_dict(self) -> dict[str, Any]:
        """Return counts and names for programs."""
        names = {"done": self.done, "done_before": self.skipped, "other_options": self.other}
        names |= {"busy": self.busy, "failed": [*self.failed], "absent": [*self.absent]}
        names |= {"warned": self.warned_scans, "outside_domain": self.outside_scans}
        return {"complete": self.complete, **names, "ignored_files": self.ignored_files}

    def code(self, policy: str = "any") -> int:
        """Return the exit code.

        Args:
            policy: "any" is 1 unless the cohort is complete, "all" only if no scan has results, "never" is 0.
        """
        usable = bool(self.done or self.skipped)
        bad = {"any": not self.complete, "all": not self.complete and not usable, "never": False}
        return int(bad[policy])
