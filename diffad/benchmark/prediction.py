"""A method as the benchmark runs it, and what it says of a set of scans."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from diffad.benchmark.items import TestItem


@dataclass
class Prediction:
    """Maps of the scans of one set, and what they cost.

    Args:
        maps: Anomaly maps, (*S) each.
        reconstructions: Pseudo-healthy reconstructions, (*S) each; empty if the method makes none.
        detections: Voxels above the threshold stored in the model, (*S) each; empty if it has none.
        scores: Scores of the whole scans; empty if the method gives none.
        slices: Number of slices.
        nfe: Network evaluations per slice.
        seconds: Seconds for the whole set.
    """

    maps: list[Tensor] = field(default_factory=list)
    reconstructions: list[Tensor] = field(default_factory=list)
    detections: list[Tensor] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    slices: int = 0
    nfe: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class BenchmarkMethod:
    """One row of the tables.

    Args:
        label: What it is called.
        fingerprint: Hash of all that its maps follow from, but for the scans and the seed.
        parameters: Weights of the network.
        run: Maps scans with a seed of the noise.
        supervision: What it was given in training, see ``SUPERVISIONS``.
        backbone: Name of the network of features that was trained elsewhere; none where there is none.
    """

    label: str
    fingerprint: str
    parameters: int
    run: Callable[[Sequence[TestItem], int], Prediction]
    supervision: str = "normal"
    backbone: str | None = None

    def describe(self) -> dict[str, object]:
        """Return what tables say of it."""
        return {"parameters": self.parameters, "supervision": self.supervision, "backbone": self.backbone}

    def predict(self, items: Sequence[TestItem], seed: int) -> Prediction:
        """Return the maps with the seconds they took."""
        start = time.perf_counter()
        prediction = self.run(items, seed)
        prediction.seconds = time.perf_counter() - start
        return prediction
