"""What is done to a scan before a model looks at it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from diffad.config.choices import BrainMethod, Modality, OffsetRule, Registration

CHOICES = {
    "modality": get_args(Modality),
    "brain": get_args(BrainMethod),
    "register": get_args(Registration),
    "hu": get_args(OffsetRule),
}
"""The words each option may be."""


@dataclass(frozen=True)
class PrepareOptions:
    """How a scan is prepared; every step can be left out.

    Args:
        modality: "mri" or "ct" (in Hounsfield units).
        bias: Correct the bias field of an MRI (N4).
        brain: How the brain is found: "deepbet" (a network, for MRI), "threshold" (Hounsfield units, for CT),
            "given" (a mask is handed over), "none" (the scan's non-zero voxels); "" takes the one that suits.
        register: Registration to MNI152: "affine", "rigid" or "none".
        spacing: Voxel size of the prepared volume in mm; none keeps the scan's grid (registered: 1 mm).
        reference: Which of several sequences the others, the brain and the registration follow, from 0.
        hu: What to do with a CT whose offset of 1024 was forgotten: "check" refuses, "shift" subtracts it.
        seed: Seed of the voxels that the registration samples.
        threads: Threads to use; 0 takes all cores.

    Raises:
        ValueError: If a word is unknown, a number out of range, or options do not go together.
    """

    modality: str = "mri"
    bias: bool = True
    brain: str = ""
    register: str = "affine"
    spacing: float | None = 1.0
    reference: int = 0
    hu: str = "check"
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        if not self.brain:
            object.__setattr__(self, "brain", "threshold" if self.modality == "ct" else "deepbet")
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}")
        if self.spacing is not None and not (math.isfinite(self.spacing) and 0.25 <= self.spacing <= 10):
            raise ValueError(f"spacing: expected 0.25 to 10 mm, got {self.spacing}")
        if min(self.reference, self.seed, self.threads) < 0:
            raise ValueError(f"expected reference, seed and threads of at least 0, got {self}")
        self._check_pair()

    def _check_pair(self) -> None:
        if self.modality == "ct" and self.brain == "deepbet":
            raise ValueError(
                "brain: expected threshold, given or none for a CT, got deepbet, which knows MRI"
            )
        if self.modality == "mri" and self.brain == "threshold":
            raise ValueError(
                "brain: expected deepbet, given or none for an MRI, got threshold, which needs HU"
            )
