"""Where a corruption's numbers come from: NumPy generators, each seeded by one of torch."""

from __future__ import annotations

import numpy as np
import torch

from diffad.data.corruptions.shape import Random


class SeededStream(torch.Generator):
    """A generator of torch that carries a NumPy one of its seed, from which numbers may be drawn already.

    Whoever draws which kind an item is corrupted by hands on a stream: kinds that draw by NumPy go on where
    that ended, and all others draw from a fresh generator of torch.
    """

    rng: Random


def open_stream(generator: torch.Generator) -> SeededStream:
    """Return a stream, seeded by one number of the generator."""
    seed = _draw_seed(generator)
    stream = SeededStream()
    stream.manual_seed(seed)
    stream.rng = np.random.default_rng(seed)
    return stream


def seed_rng(generator: torch.Generator) -> Random:
    """Return the NumPy generator of a stream, or make one, seeded by one number of the generator."""
    if isinstance(generator, SeededStream):
        return generator.rng
    return np.random.default_rng(_draw_seed(generator))


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
