"""Several streams of noise for each item, so that what is skipped does not change what is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from diffad.types import Generators, generator_for, generators_for


@dataclass(frozen=True)
class SeedStreams:
    """The streams that follow from one number of each item.

    Args:
        roots: The number and the device of each item.
    """

    roots: tuple[tuple[int, torch.device], ...]

    @classmethod
    def draw(cls, generator: Generators, batch: int) -> SeedStreams:
        """Draw the number of each of ``batch`` items from its generator.

        Raises:
            ValueError: If a list of generators has another length than the batch.
        """
        return cls(tuple((_draw_number(g), g.device) for g in generators_for(generator, batch)))

    def make_generators(self, *keys: int) -> list[torch.Generator]:
        """Return a fresh generator for each item, whose stream follows from its number and ``keys``."""
        seeds = [(generator_for(root, *keys).initial_seed(), device) for root, device in self.roots]
        return [torch.Generator(device).manual_seed(seed) for seed, device in seeds]


def _draw_number(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))
