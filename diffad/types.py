"""The values that travel between parts. Shapes are (B, C, *S) with *S two or three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator for a whole batch, or a list with one for each item."""


@dataclass(frozen=True)
class StepRecord:
    """One move of a sampler from level ``t`` to level ``s``.

    Args:
        t: Level the state was at.
        s: Level the state went to.
        x_t: State at level ``t``, (B, C, *S).
        x_hat: Clean image estimated at level ``t``, (B, C, *S).
        x_s: State at level ``s``, (B, C, *S).
        map: Anomaly map of the estimate, (B, 1, *S), if the sampler made one.
    """

    t: int
    s: int
    x_t: Tensor
    x_hat: Tensor
    x_s: Tensor
    map: Tensor | None = None


@dataclass(frozen=True)
class Example:
    """What a network is shown in training, and what it should find.

    Args:
        x: Clean images in [-1, 1], (B, C, *S).
        z: Noise, (B, C, *S).
        x_t: What the network sees, (B, C, *S).
        region: Where the loss counts, (B, 1, *S), bool, or how much; none counts every voxel alike.
        cond_image: Conditioning images, (B, C, *S), in [0, 1]; none conditions on the clean images.
        label: Class of each image, (B,), 0 healthy, 1 diseased, -1 unknown; none where no labels are known.
        place: Orientation and position of each slice, (B, 2), see ``diffad.data.place``; none where unknown.
        damage: 1 where an image was damaged before it was noised, (B, 1, *S); none where none was.
        neighbours: Slices below and above each, noised as they are seen, (B, 2 N C, *S); none without.
        whole: The image noised everywhere, (B, C, *S), where ``x_t`` is noised in a part; none takes ``x_t``.
        level: Level that the network is told of each, (B,); none tells those that were drawn.
    """

    x: Tensor
    z: Tensor
    x_t: Tensor
    region: Tensor | None = None
    cond_image: Tensor | None = None
    label: Tensor | None = None
    place: Tensor | None = None
    damage: Tensor | None = None
    neighbours: Tensor | None = None
    whole: Tensor | None = None
    level: Tensor | None = None


@dataclass(frozen=True)
class Reconstruction:
    """What a sampler returns.

    Args:
        image: Pseudo-healthy twin, (B, C, *S), in the range the sampler was given.
        nfe: Network evaluations that each item cost.
        std: Standard deviation of several twins, (B, C, *S), in units of ``image``; none where one was made.
        map: What the sampler found on its way, (B, 1, *S): a likelihood, or the region it changed.
        reference: The scan as the same way rebuilds it unchanged, (B, C, *S), in the range of ``image``; none
            leaves the scan itself to compare with.
        code_change: By how much the code of the twin differs from that of the reference, (B, Z, *L), in coded
            spaces; none elsewhere.
    """

    image: Tensor
    nfe: int
    std: Tensor | None = None
    map: Tensor | None = None
    reference: Tensor | None = None
    code_change: Tensor | None = None


Restoration = Reconstruction
"""The former name, which parts of other distributions may still import."""


def generators_for(generator: Generators, batch: int) -> list[torch.Generator]:
    """Give each of ``batch`` items its generator; a single one serves the items in order.

    Raises:
        ValueError: If a list has another length than the batch.
    """
    if isinstance(generator, torch.Generator):
        return [generator] * batch
    if len(generator) != batch:
        raise ValueError(f"expected one generator for each of {batch} items, got {len(generator)}")
    return list(generator)


ALONE = 0x616C6F6E65
"""What is mixed into the stream of a single key, which would else be that of the key and a zero."""


def generator_for(*keys: int) -> torch.Generator:
    """Return a generator whose stream follows from ``keys`` alone.

    A single key has a stream of its own, and so has every pair. Three keys or more that end in 0 share
    the stream without it, as they always have; calls for one purpose give as many keys each time.
    """
    spawn_key = (ALONE,) if len(keys) == 1 else ()
    seed = np.random.SeedSequence(keys, spawn_key=spawn_key).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))


def widest_float(device: torch.device) -> torch.dtype:
    """Return the widest number format of a device: float64, or float32 on the GPU of a Mac."""
    return torch.float32 if device.type == "mps" else torch.float64
