"""The case of the demo: a real brain, and four lesions of known extent in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from diffad.data.lesions import KINDS, ImplantedLesion, implant
from diffad.data.masks import brain_mask
from diffad.data.volume import Array, Volume
from diffad.types import generator_for

KNOWN_SLICES = {"ixi-t1-axial": (91, 100)}
"""First and last (exclusive) axial slice of the MNI152 grid that a model knows, if not the whole brain."""

RADIUS = (10.0, 14.0)
"""Smallest and largest radius of a lesion, in voxels."""

BRIGHTEST = 0.85
"""Where the 99th percentile of the brain goes while lesions are made; leaves room for brighter ones."""

TRIES = 1000
"""Draws until a lesion lies whole inside its quarter of the brain."""

KIND_NAMES = {"dark": "Dark", "bright": "Bright", "textured": "Textured", "mass_effect": "Mass effect"}
"""Kinds of lesions as tables and pictures call them."""


@dataclass(frozen=True)
class DemoCase:
    """A brain with and without lesions.

    Args:
        healthy: The brain without lesions.
        brain: Its mask, (I, J, K), bool.
        image: The brain with lesions, (I, J, K), in the same intensities.
        labels: Lesions, (I, J, K), uint8: 1 + position in ``KINDS``, 0 elsewhere.
        slices: First and last (exclusive) axial slice to analyse.
    """

    healthy: Volume
    brain: Array
    image: Array
    labels: Array
    slices: tuple[int, int]

    @property
    def analysed(self) -> Array:
        """The part of the brain that is analysed, (I, J, K), bool."""
        mask = np.zeros_like(self.brain)
        mask[..., slice(*self.slices)] = True
        return mask & self.brain

    def lesion(self, kind: str) -> Array:
        """Return the extent of the lesion of one kind, (I, J, K), bool."""
        return self.labels == 1 + KINDS.index(kind)


def load_template() -> Volume:
    """Return the MNI152 T1 brain that nilearn ships: skull-stripped, 1 mm; nothing is downloaded.

    Raises:
        ImportError: If nilearn is missing.
    """
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        raise ImportError("the demo takes its brain from nilearn: pip install 'diffad[demo]'") from error
    image = load_mni152_template(resolution=1)
    return Volume(image.get_fdata(dtype=np.float32)[None], image.affine)


def make_case(
    healthy: Volume,
    slices: tuple[int, int] | None = None,
    seed: int = 0,
    radius: tuple[float, float] = RADIUS,
) -> DemoCase:
    """Put one lesion of each kind into a quarter of the brain of its own.

    The lesions are three-dimensional; each is centred in the middle half of the slices.

    Args:
        healthy: Skull-stripped scan of one sequence, with intensities from 0 up.
        slices: First and last (exclusive) axial slice that will be analysed; none for all with brain.
        seed: Seed of kinds, places and shapes.
        radius: Smallest and largest radius, in voxels.

    Raises:
        ValueError: If the slices or the lesions do not fit the brain.
    """
    scan, brain = healthy.data[0], brain_mask(healthy.data)[0]
    first, last = slices = _find_extent(brain) if slices is None else slices
    if not (0 <= first < last <= scan.shape[2] and brain[..., first:last].any()):
        raise ValueError(f"expected slices with brain out of {scan.shape[2]}, got {first} to {last - 1}")
    scale = BRIGHTEST / float(np.percentile(scan[brain], 99))
    image, labels = scan.copy(), np.zeros(scan.shape, np.uint8)
    order = torch.randperm(len(KINDS), generator=generator_for(seed, 0)).tolist()
    edge = (last - first) // 4
    for index, box in zip(order, _cut_quarters(brain, slices, radius[1]), strict=True):
        part = torch.from_numpy(scan[box] * scale)[None].clamp(0, 1)
        middle = range(first + edge - box[2].start, last - edge - box[2].start)
        part_brain = torch.from_numpy(brain[box])[None]
        lesion = _draw_lesion(part, part_brain, KINDS[index], generator_for(seed, index), radius, middle)
        difference = (lesion.image != part)[0].numpy()
        image[box][difference] = lesion.image[0].numpy()[difference] / scale
        labels[box][lesion.mask[0].numpy()] = 1 + index
    return DemoCase(healthy, brain, image, labels, slices)


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
    kind: str,
    generator: torch.Generator,
    radius: tuple[float, float],
    middle: range,
) -> ImplantedLesion:
    """Draw lesions until one is centred in the ``middle`` and changes nothing at the faces of its box."""
    for _ in range(TRIES):
        lesion = implant(part, brain, kind, generator, radius)
        difference = (lesion.image != part)[0]
        core = difference[1:-1, 1:-1, 1:-1]
        if lesion.params["centre"][2] in middle and core.sum() == difference.sum():
            return lesion
    shape = tuple(part.shape[1:])
    raise ValueError(f"expected room for a {kind} lesion of radius {radius} in a box {shape}, found none")
