"""Units of work: what one process does at a time, what it is called, and the file that says it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WorkUnit(ABC):
    """One method with one seed on one task; files alone pass between units, so a kill costs one of them.

    Args:
        label: Label of the method.
        seed: Seed of lesions and noise.
        task: Name of the test set or of the protocol.
    """

    label: str
    seed: int
    task: str

    def __str__(self) -> str:
        return f"{self.label}, seed {self.seed}, {self.task}"

    @abstractmethod
    def path(self, out: Path) -> Path:
        """Return the file that holds what the unit makes."""


class PredictionUnit(WorkUnit):
    """The maps of one method with one seed; its task is a test set."""

    def path(self, out: Path) -> Path:
        """Return the file of its maps."""
        return out / "maps" / self.label / f"seed-{self.seed}" / f"{self.task}.safetensors"


class EvaluationUnit(WorkUnit):
    """The metrics of one method with one seed; its task is a protocol."""

    def path(self, out: Path) -> Path:
        """Return the file of its metrics."""
        return out / "scores" / self.task / self.label / f"seed-{self.seed}.json"
