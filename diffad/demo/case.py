"""The case of the demo: a brain, and four lesions of known extent in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from diffad.data.lesions import ImplantedLesion, implant
from diffad.data.masks import brain_mask
from diffad.data.volume import Array, Volume
from diffad.demo.plan import PlannedLesion
from diffad.types import generator_for

BRIGHTEST = 0.85
"""Where the 99th percentile of the brain goes while lesions are made; leaves room for brighter ones."""

TRIES = 1000
"""Draws until a lesion lies whole inside its quarter of the brain."""


@dataclass(frozen=True)
class DemoCase:
    """A brain with and without lesions.

    Args:
        healthy: The brain without lesions.
        brain: Its mask, (I, J, K), bool.
        image: The brain with lesions, (I, J, K), in the same intensities.
        labels: Lesions, (I, J, K), uint8: 1 + position in ``names``, 0 elsewhere.
        slices: First and last (exclusive) axial slice to analyse.
        names: Names of the lesions.
    """

    healthy: Volume
    brain: Array
    image: Array
    labels: Array
    slices: tuple[int, int]
    names: tuple[str, ...]

    @property
    def analysed(self) -> Array:
        """The part of the brain that is analysed, (I, J, K), bool."""
        mask = np.zeros_like(self.brain)
        mask[..., slice(*self.slices)] = True
        return mask & self.brain

    def lesion(self, name: str) -> Array:
        """Return the extent of one lesion, (I, J, K), bool."""
        return self.labels == 1 + self.names.index(name)


def make_case(
    healthy: Volume,
    lesions: Sequence[PlannedLesion],
    slices: tuple[int, int] | None = None,
    seed: int = 0,
    shuffled: bool = True,
) -> DemoCase:
    """Put each of four lesions into a quarter of the brain of its own.

    The lesions are three-dimensional; each is centred in the middle half of the slices.

    Args:
        healthy: Skull-stripped scan of one sequence, with intensities from 0 up.
        lesions: What to draw.
        slices: First and last (exclusive) axial slice that will be analysed; none for all with brain.
        seed: Seed of places and shapes.
        shuffled: Whether the seed decides which quarter a lesion lies in, too; else their order does.

    Raises:
        ValueError: If the slices or the lesions do not fit the brain.
    """
    scan, brain = healthy.data[0], brain_mask(healthy.data)[0]
    first, last = slices = _find_extent(brain) if slices is None else slices
    if not (0 <= first < last <= scan.shape[2] and brain[..., first:last].any()):
        raise ValueError(f"expected slices with brain out of {scan.shape[2]}, got {first} to {last - 1}")
    scale = BRIGHTEST / float(np.percentile(scan[brain], 99))
    image, labels = scan.copy(), np.zeros(scan.shape, np.uint8)
    order = list(range(len(lesions)))
    if shuffled:
        order = torch.randperm(len(lesions), generator=generator_for(seed, 0)).tolist()
    edge, reach = (last - first) // 4, max(lesion.radius[1] for lesion in lesions)
    for index, box in zip(order, _cut_quarters(brain, slices, reach), strict=True):
        part = torch.from_numpy(scan[box] * scale)[None].clamp(0, 1)
        middle = range(first + edge - box[2].start, last - edge - box[2].start)
        part_brain = torch.from_numpy(brain[box])[None]
        lesion = _draw_lesion(part, part_brain, lesions[index], generator_for(seed, index), middle)
        difference = (lesion.image != part)[0].numpy()
        image[box][difference] = lesion.image[0].numpy()[difference] / scale
        labels[box][lesion.mask[0].numpy()] = 1 + index
    return DemoCase(healthy, brain, image, labels, slices, tuple(lesion.name for lesion in lesions))


def _find_extent(brain: Array) -> tuple[int, int]:
    """Return the first and the last (exclusive) axial slice with brain."""
    indices = np.flatnonzero(brain.any((0, 1)))
    return (int(indices[0]), int(indices[-1]) + 1) if len(indices) else (0, 0)


def _cut_quarters(brain: Array, slices: tuple[int, int], radius: float) -> list[tuple[slice, ...]]:
    """Cut the slices, and as much around them as lesions may reach, into left, right, front and back."""
    indices = brain[..., slice(*slices)].nonzero()
    left, back = (int(axis.min() + axis.max() + 1) // 2 for axis in indices[:2])
    reach = round(1.5 * radius)
    height = (slice(max(0, slices[0] - reach), slices[1] + reach),)
    halves = (slice(0, left), slice(left, None)), (slice(0, back), slice(back, None)), height
    return list(product(*halves))


def _draw_lesion(
    part: Tensor,
    brain: Tensor,
    planned: PlannedLesion,
    generator: torch.Generator,
    middle: range,
) -> ImplantedLesion:
    """Draw lesions until one is centred in the ``middle`` and changes nothing at the faces of its box."""
    for _ in range(TRIES):
        lesion = implant(part, brain, planned.kind, generator, planned.radius)
        difference = (lesion.image != part)[0]
        core = difference[1:-1, 1:-1, 1:-1]
        if lesion.params["centre"][2] in middle and core.sum() == difference.sum():
            return lesion
    shape = tuple(part.shape[1:])
    what = f"a {planned.kind} lesion of radius {planned.radius}"
    raise ValueError(f"expected room for {what} in a box {shape}, found none")
