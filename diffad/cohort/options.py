"""How the scans of a cohort are looked at."""

from __future__ import annotations

from dataclasses import dataclass

from diffad.plain import PartSpec


@dataclass(frozen=True)
class Options:
    """How scans are looked at; see ``AnomalyPipeline.__call__``.

    Args:
        sampler: Another sampler than the model's own, by name with options.
        score: Another score, alike.
        noise: Another noise, alike.
        guidance: Another guidance, alike.
        threshold: A number, "otsu", or none for the model's own.
        slices: First and last (exclusive) slice; none for all.
        seed: Seed of all noise.
        batch_size: Slices per network evaluation; does not change the result.
        precision: "auto", "fp32" or "bf16"; "auto" takes bf16 where the device has it natively.
    """

    sampler: PartSpec | None = None
    score: PartSpec | None = None
    noise: PartSpec | None = None
    guidance: PartSpec | None = None
    threshold: float | str | None = None
    slices: tuple[int, int] | None = None
    seed: int = 0
    batch_size: int = 8
    precision: str = "auto"
