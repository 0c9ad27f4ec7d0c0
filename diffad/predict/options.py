"""How the scans of a cohort are looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from diffad.config.schema import PartSpec
from diffad.method import Method


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
        axes: Axes that slices are cut along, their maps fused; none for the model's own.
        fusion: How the maps of several axes become one; none for the mean.
        noise_across: What shares its noise, "slice" or "scan"; none for a noise of its own for every slice.
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
    axes: tuple[str, ...] | None = None
    fusion: str | None = None
    noise_across: str | None = None

    @property
    def method(self) -> Method:
        """The parts that take the place of the model's own."""
        return Method(self.noise, self.sampler, self.score, self.guidance)

    def call(self) -> dict[str, Any]:
        """Return what ``AnomalyPipeline.__call__`` is to be called with."""
        late = ("axes", "fusion", "noise_across")
        return {k: v for k, v in asdict(self).items() if k not in late or v is not None}

    def to_request(self) -> dict[str, Any]:
        """Return what the maps follow from: all but the size of a batch."""
        return {k: v for k, v in self.call().items() if k != "batch_size"}
