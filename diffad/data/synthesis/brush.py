"""Slices of one synthetic head, all of the same shape, contrast and scanner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from diffad.data.neighbours import list_neighbour_keys
from diffad.data.slices import to_slices
from diffad.data.synthesis.contrast import Palette
from diffad.data.synthesis.geometry import find_nearest, gather_pixels, read_linear
from diffad.data.synthesis.grid import PaintGrid
from diffad.data.synthesis.head import Head
from diffad.data.synthesis.label_map import DEPTH_SCALE
from diffad.data.synthesis.scanner import Scanner


@dataclass(frozen=True, eq=False)
class Brush:
    """Paints slices of a head, or all of it, on one grid.

    Args:
        head: The head.
        grid: The grid.
        points: Where its fine points lie in the label map, (D, *S), in mm from the middle.
        palette: Intensities of the tissues.
        scanner: Flaws of the scanner.
    """

    head: Head
    grid: PaintGrid
    points: Tensor
    palette: Palette
    scanner: Scanner

    @cached_property
    def _pixels(self) -> tuple[Tensor, Tensor]:
        """Where the fine points lie among the pixels of a plane, and which lie inside."""
        planes, spacing = self.head.read_planes(0, 0.0)
        return find_nearest(planes.shape[1:], self.points, spacing)

    @cached_property
    def _middles(self) -> Tensor:
        return self.grid.average(self.points)

    def paint(self, key: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return slice ``key`` as the scanner shows it, (1, *S), and how much of a pixel is tissue, (*S)."""
        planes, _ = self.head.read_planes(key, self.scanner.thickness)
        tissues = gather_pixels(planes, *self._pixels).long()
        middle = tissues[len(tissues) // 2]
        palette = self.palette
        layers = [palette.means[tissues].mean(0), palette.deviations[middle], (middle > 0).float()]
        means, deviations, share = self.grid.average(torch.stack(layers))
        image = means + deviations * self.grid.draw_texture(generator)
        image = self.scanner.show(image, self._evaluate_bias(key))
        return self.scanner.digitise(image[None], generator), share

    def read_depth(self, key: int) -> Tensor:
        """Return the distance from the hull of the brain in slice ``key``, (*S), in mm, negative inside."""
        return read_linear(self.head.depth[key], self._middles, self.head.spacing) / DEPTH_SCALE

    def list_neighbours(self, key: int, count: int) -> list[int]:
        """Return the slices below and above one, as far from it as slices of the scanner are thick."""
        step = self.head.count_planes(self.scanner.thickness)
        return list_neighbour_keys(key, count, *self.head.ends, step)

    def _evaluate_bias(self, key: int) -> Tensor:
        head, scanner = self.head, self.scanner
        fractions = [a / side + 0.5 for a, side in zip(self.grid.axes, head.sides, strict=True)]
        if head.axis == "volume":
            return scanner.evaluate_bias(scanner.bias, fractions)
        through = torch.tensor([(key + 0.5) / len(head.tissues)])
        controls = to_slices(scanner.bias, head.axis)[None, :, 0]
        return scanner.evaluate_bias(controls, [through, *fractions])[0]
