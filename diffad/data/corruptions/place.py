"""Where in the brain a shape lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffad.data.corruptions.shape import Bools, Floats, Random, Shape, draw_shape, index_voxels

LEAST_SIDE = 4
"""A brain whose largest part is narrower than this, in voxels, has no room for a shape."""

LEAST_VOXELS = 4
"""Smallest number of voxels of the brain in a shape."""

MIN_OVERLAP = 0.25
"""Smallest fraction of the shape that lies in the brain."""

HALVING_TRIES = 50
"""Number of refused shapes after which that fraction is halved; after ten halvings the search ends."""

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Foreground:
    """The brain and its connected parts.

    Args:
        mask: Brain, (*S).
        boxes: Bounding box of each part.
        size: Sides of the bounding box of the largest part.
    """

    mask: Bools
    boxes: tuple[Box, ...]
    size: tuple[int, ...]

    @classmethod
    def of(cls, mask: Bools) -> Foreground:
        """Find the parts of a brain mask (*S).

        Raises:
            ValueError: If the mask is empty, or too small for any shape.
        """
        from scipy.ndimage import find_objects, label

        parts, _ = label(mask)
        boxes = tuple(find_objects(parts))
        if not boxes:
            raise ValueError("expected a brain mask with voxels in it, got an empty one")
        largest = boxes[int(np.bincount(parts.ravel())[1:].argmax())]
        size = tuple(cut.stop - cut.start for cut in largest)
        if min(size) < LEAST_SIDE:
            raise ValueError(f"expected a brain of at least {LEAST_SIDE} voxels along each axis, got {size}")
        return cls(mask, boxes, size)


@dataclass(frozen=True)
class Place:
    """A shape at its place.

    Args:
        shape: The shape.
        box: Its bounding box, one voxel wider on each side where the image goes on.
        offset: Vector from the centre of the shape to each voxel of the box, (n, *box).
        mask: Voxels of the shape, (*box).
        tissue: Voxels of the brain, (*box).
    """

    shape: Shape
    box: Box
    offset: Floats
    mask: Bools
    tissue: Bools


def draw_place(brain: Foreground, rng: Random) -> Place:
    """Draw a shape and a place where at least a quarter of it lies in the brain.

    A part of the brain is drawn in proportion to its bounding box, then a place uniformly among those where
    the two boxes meet. The quarter is halved after each 50 refusals.

    Raises:
        ValueError: If no shape fits; the brain is too small or too scattered.
    """
    areas = np.array([np.prod([cut.stop - cut.start for cut in box]) for box in brain.boxes], dtype=float)
    for tries in range(10 * HALVING_TRIES):
        shape = draw_shape(brain.mask.shape, brain.size, rng)
        part_box = brain.boxes[rng.choice(len(areas), p=areas / areas.sum()) if len(areas) > 1 else 0]
        place = _place_shape(shape, _draw_corner(shape.size, part_box, brain.mask.shape, rng), brain.mask)
        overlap = int((place.mask & place.tissue).sum())
        required_voxels = MIN_OVERLAP * 0.5 ** (tries // HALVING_TRIES) * place.mask.sum()
        if overlap >= max(required_voxels, LEAST_VOXELS):
            return place
    raise ValueError(f"expected a brain with room for a shape, got {int(brain.mask.sum())} scattered voxels")


def _draw_corner(
    size: tuple[int, ...], part_box: Box, image: tuple[int, ...], rng: Random
) -> tuple[int, ...]:
    corners = []
    for side, cut, whole in zip(size, part_box, image, strict=True):
        low, high = max(cut.start - side + 1, 0), min(cut.stop - 1, whole - side)
        corners.append(int(rng.integers(low, high + 1)))
    return tuple(corners)


def _place_shape(shape: Shape, corner: tuple[int, ...], brain: Bools) -> Place:
    size, whole = shape.size, brain.shape
    box = tuple(slice(max(c - 1, 0), min(c + k + 1, n)) for c, k, n in zip(corner, size, whole, strict=True))
    centre = [c + (k - 1) / 2 - cut.start for c, k, cut in zip(corner, size, box, strict=True)]
    sides = tuple(cut.stop - cut.start for cut in box)
    offset = index_voxels(sides) - np.expand_dims(np.array(centre), tuple(range(1, 1 + len(sides))))
    return Place(shape, box, offset, shape.holds(shape.to_units(offset)), brain[box])
