"""Options of preparing a scan for a model."""

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
"""Values of each option."""


@dataclass(frozen=True)
class PrepareOptions:
    """How a scan is prepared; every step can be left out.

    Args:
        modality: "mri" or "ct" (in Hounsfield units).
        bias: Whether the bias field of an MRI is corrected (N4).
        brain: How the brain is found: "deepbet" (a network, for MRI), "threshold" (Hounsfield units, for CT),
            "given" (by a mask), "none" (the non-zero voxels of the scan); "" takes the first that suits.
        register: Registration to MNI152: "affine", "rigid" or "none".
        spacing: Voxel size of the prepared volume in mm; none keeps the grid of the scan (registered: 1 mm).
        reference: Number of the sequence for the grid, the brain and the registration, from 0.
        hu: What happens to a CT with a forgotten offset of 1024: "check" refuses it, "shift" subtracts it.
        seed: Seed of the voxels that the registration samples.
        threads: Number of threads; 0 for all cores.

    Raises:
        ValueError: If a value is unknown or out of range, or options do not go together.
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
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                names = f"{', '.join(choices[:-1])} or {choices[-1]}"
                raise ValueError(f"{name}: expected {names}, got {value!r}")
        if self.spacing is not None and not (math.isfinite(self.spacing) and 0.25 <= self.spacing <= 10):
            raise ValueError(f"spacing: expected 0.25 to 10 mm, got {self.spacing}")
        if min(self.reference, self.seed, self.threads) < 0:
            raise ValueError(
                "expected reference, seed and threads of at least 0, "
                f"got {self.reference}, {self.seed} and {self.threads}"
            )
        self._check_pair()

    def _check_pair(self) -> None:
        if self.modality == "ct" and self.brain == "deepbet":
            raise ValueError(
                "brain: expected threshold, given or none for a CT, got deepbet, which is for MRI"
            )
        if self.modality == "mri" and self.brain == "threshold":
            raise ValueError(
                "brain: expected deepbet, given or none for an MRI, got threshold, which is for CT"
            )
