"""The grid that a synthetic scan is painted on: a part of that of the model, finer where pixels are large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FINE = 1.2
"""Pixels above this size are painted at half of it and averaged, in mm."""

ROOM = 1.12
"""How much larger than the head the part of the grid is that is painted."""


@dataclass(frozen=True)
class PaintGrid:
    """Pixels around the middle of the brain.

    Args:
        shape: Pixels of the whole grid.
        part: Pixels of its middle, which is painted.
        pitch: Size of a pixel along each axis, in mm.
    """

    shape: tuple[int, ...]
    part: tuple[int, ...]
    pitch: tuple[float, ...]

    @classmethod
    def around(cls, sides: Sequence[float], size: int, field: float) -> PaintGrid:
        """Return the square grid of slices, and the part that holds a head.

        Args:
            sides: Sides of the head, in mm.
            size: Pixels along each side of the grid.
            field: Side of the grid, in mm.
        """
        pitch = field / size
        rows, columns = (min(size, size % 2 + 2 * math.ceil(ROOM * side / pitch / 2)) for side in sides)
        return cls((size, size), (rows, columns), (pitch, pitch))

    @property
    def area(self) -> float:
        """Area of the whole grid, in square mm; of a volume the volume."""
        return math.prod(n * p for n, p in zip(self.shape, self.pitch, strict=True))

    @property
    def axes(self) -> list[Tensor]:
        """Positions of the painted pixels along each axis, in mm from the middle."""
        return self._place_pixels(1)

    @property
    def fine_axes(self) -> list[Tensor]:
        """Positions of what is painted before it is averaged."""
        return self._place_pixels(self._ratio)

    def average(self, image: Tensor) -> Tensor:
        """Average what was painted at ``fine_axes``, (N, *S), to the pixels of the grid."""
        if self._ratio == 1:
            return image
        return (F.avg_pool2d if len(self.part) == 2 else F.avg_pool3d)(image, self._ratio)

    def pad(self, image: Tensor) -> Tensor:
        """Put the painted part (C, *S) into the middle of the whole grid; 0 around it."""
        if self.part == self.shape:
            return image
        whole = image.new_zeros(len(image), *self.shape)
        pairs = zip(self.shape, self.part, strict=True)
        whole[(slice(None), *(slice((n - m) // 2, (n - m) // 2 + m) for n, m in pairs))] = image
        return whole

    def draw_texture(self, generator: torch.Generator) -> Tensor:
        """Draw the uneven inside of tissues, (*S), of standard deviation about 1; most of it smooth."""
        coarse = torch.randn([1, 1, *(math.ceil(n / 2) for n in self.part)], generator=generator)
        mode = "bilinear" if len(self.part) == 2 else "trilinear"
        smooth = F.interpolate(coarse, self.part, mode=mode, align_corners=False)[0, 0]
        return smooth + 0.6 * torch.randn(self.part, generator=generator)

    @property
    def _ratio(self) -> int:
        return 2 if max(self.pitch) > FINE else 1

    def _place_pixels(self, ratio: int) -> list[Tensor]:
        pairs = ((n * ratio, p / ratio) for n, p in zip(self.part, self.pitch, strict=True))
        return [(torch.arange(n) + 0.5 - n / 2) * p for n, p in pairs]
