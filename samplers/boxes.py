"""Where the boxes of an image lie: in a grid at test, anywhere in training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from diffad.samplers.base import level_option

Box = tuple[slice, ...]
"""One slice for each spatial axis."""

PLACEMENTS = ("grid", "spread")


def sides_option(box: object) -> int | tuple[int, ...]:
    """Return a box as one side or as a tuple of sides, as YAML gives lists.

    Raises:
        TypeError: If a side is no integer.
        ValueError: If a side is below 1.
    """
    if isinstance(box, str) or not isinstance(box, int | Sequence):
        raise TypeError(f"expected box as an integer or a sequence of integers, got {box!r}")
    if isinstance(box, int):
        return level_option("box", box)
    return tuple(level_option("box", side) for side in box)


def resolve_sides(box: int | Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Return the sides of a box, one for each spatial axis of an image of ``shape`` (*S).

    Raises:
        ValueError: If there are more or fewer sides than axes, or one is longer than its axis.
    """
    sides = (box,) * len(shape) if isinstance(box, int) else tuple(box)
    if len(sides) != len(shape):
        raise ValueError(f"expected a box with {len(shape)} sides for an image {tuple(shape)}, got {sides}")
    for axis, (side, length) in enumerate(zip(sides, shape, strict=True)):
        if side > length:
            raise ValueError(
                f"expected a box of at most {length} voxels along spatial axis {axis} of an image "
                f"{tuple(shape)}, got {side}"
            )
    return sides


def place_starts(length: int, side: int, overlap: float = 0.0, placement: str = "grid") -> list[int]:
    r"""Place boxes along one axis.

    .. math::
        \text{grid: } 0, d, 2d, \dots \quad d = \max(1, \mathrm{round}(p (1 - o))), \qquad
        \text{spread: } \lfloor i (S - p) / (n - 1) \rfloor, \quad n = \lceil S / p \rceil

    Without overlap the last box of a grid may hang over the edge; with overlap it is flush with it.

    Args:
        length: Voxels S of the axis.
        side: Side p of the box, at most S.
        overlap: Share o of a box that the next one covers again, in [0, 1).
        placement: "grid" or "spread".

    Reference:
        Patched Diffusion Models for Unsupervised Anomaly Detection (Behrendt et al., 2023), section 2.2.
    """
    if placement == "spread":
        count = -(-length // side)
        return [i * (length - side) // max(1, count - 1) for i in range(count)]
    if not overlap:
        return list(range(0, length, side))
    return align_last(range(0, length, max(1, round(side * (1 - overlap)))), length, side)


def align_last(places: Sequence[int], length: int, side: int) -> list[int]:
    """Keep the boxes that lie inside an axis, and end with one that is flush with its edge."""
    return [place for place in places if place < length - side] + [length - side]


def list_boxes(
    shape: Sequence[int],
    sides: Sequence[int],
    overlap: float = 0.0,
    placement: str = "grid",
    equal: bool = False,
) -> list[Box]:
    """List the boxes that cover an image, the last axis fastest; those that hang over its edges are cut.

    Args:
        shape: Spatial shape, (*S).
        sides: Side of the box along each axis.
        overlap: Share of a box that the next one covers again, in [0, 1).
        placement: "grid" or "spread".
        equal: Shift the last boxes inside instead of cutting them, so that all have one shape.
    """
    axes = []
    for length, side in zip(shape, sides, strict=True):
        places = place_starts(length, side, overlap, placement)
        places = align_last(places, length, side) if equal else places
        axes.append([slice(place, min(place + side, length)) for place in places])
    return list(product(*axes))


def draw_anywhere(shape: Sequence[int], sides: Sequence[int], generator: torch.Generator) -> Box:
    r"""Draw a box that covers every voxel with the same probability; what hangs over an edge is cut.

    .. math:: a \sim U\{-(p - 1), \dots, S - 1\}, \quad P(u \in \text{box}) = p / (S + p - 1)
    """
    box = []
    for length, side in zip(shape, sides, strict=True):
        place = _draw_integer(length + side - 1, generator) - (side - 1)
        box.append(slice(max(0, place), min(place + side, length)))
    return tuple(box)


def draw_within(mask: Tensor, sides: Sequence[int], generator: torch.Generator) -> Box:
    """Draw a whole box inside the image, around a voxel of ``mask`` (1, *S) or, if it is empty, any."""
    shape = mask.shape[1:]
    voxels = (mask[0] > 0).nonzero()
    if len(voxels):
        centre = voxels[_draw_integer(len(voxels), generator)].tolist()
    else:
        centre = [_draw_integer(length, generator) for length in shape]
    places = (
        max(0, min(middle - side // 2, length - side))
        for middle, side, length in zip(centre, sides, shape, strict=True)
    )
    return tuple(slice(place, place + side) for place, side in zip(places, sides, strict=True))


def draw_listed(boxes: Sequence[Box], generator: torch.Generator) -> Box:
    """Draw one of the boxes."""
    return boxes[_draw_integer(len(boxes), generator)]


def crop_box(x: Tensor, box: Box) -> Tensor:
    """Look at one box of images (..., *S); what is written into it is written into them."""
    index: tuple[Any, ...] = (..., *box)
    return x[index]


def mark_boxes(boxes: Sequence[Box], shape: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Mark the voxels of each box, (K, 1, *S), bool."""
    marks = torch.zeros((len(boxes), 1, *shape), dtype=torch.bool, device=device)
    for mark, box in zip(marks, boxes, strict=True):
        crop_box(mark, box).fill_(True)
    return marks


def _draw_integer(high: int, generator: torch.Generator) -> int:
    return int(torch.randint(high, (), generator=generator, device=generator.device))
