"""What is scored: one scan or slice, its anomaly map and what is true of it, on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """One scan or slice with its map; everything lies on the grid *S of two or three axes.

    Args:
        name: Name of the scan or slice.
        subject: Who was scanned; intervals are taken over subjects, and splits never divide one.
        scores: Anomaly map, (*S), float32.
        truth: True lesions, (*S).
        brain: Where the map counts, (*S).
        spacing: Edges of a voxel, in mm.
        group: What rows can be grouped by, such as the kind of lesion or the hospital.
        axis: Axis the slices of a volume lie along, for what is done slice by slice; none for 2-D.
        ignored: Voxels that count neither as lesion nor as healthy, (*S); none for nowhere.
        detected: Detections made with the threshold stored in the model, (*S), or none.
        image_score: Score of the whole scan as the model gave it, or none.
        image: The scan, (*S), in [0, 1]; or none.
        twin: Its pseudo-healthy twin, (*S), in [0, 1]; or none.
        label: 1 if the scan counts as anomalous although no lesion is marked, 0 if healthy; none follows
            from the truth.

    Raises:
        ValueError: If grids differ or nothing is left to be scored.
    """

    name: str
    subject: str
    scores: NDArray[Any]
    truth: Bools
    brain: Bools
    spacing: tuple[float, ...] = ()
    group: str = ""
    axis: int | None = None
    ignored: Bools | None = None
    detected: Bools | None = None
    image_score: float | None = None
    image: NDArray[Any] | None = None
    twin: NDArray[Any] | None = None
    label: int | None = None

    def __post_init__(self) -> None:
        for name in ("truth", "brain", "ignored", "detected", "image", "twin"):
            array = getattr(self, name)
            if array is not None and array.shape != self.scores.shape:
                shape = self.scores.shape
                raise ValueError(
                    f"{self.name}: expected {name} of shape {shape} like the map, got {array.shape}"
                )
        if not self.counted.any():
            raise ValueError(f"{self.name}: expected a voxel to score, found none in the mask")
        if bad := int((~np.isfinite(self.scores[self.counted])).sum()):
            raise ValueError(f"{self.name}: expected a finite map, found {bad} voxels that are not")

    @property
    def counted(self) -> Bools:
        """Voxels of the brain that count, (*S)."""
        return self.brain if self.ignored is None else self.brain & ~self.ignored

    @property
    def anomalous(self) -> bool:
        """Whether the scan counts as anomalous."""
        return bool((self.truth & self.counted).any()) if self.label is None else self.label == 1

    @property
    def edges(self) -> tuple[float, ...]:
        """Edges of a voxel in mm; 1 where nobody says."""
        return self.spacing or (1.0,) * self.scores.ndim
