"""Slices drawn by formula, for tests and first steps without any data."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.config import SpaceConfig
from diffad.data.items import TrainingItem
from diffad.data.neighbours import refuse_neighbours
from diffad.registry import DATASETS


def draw_toy_slice(size: int, index: int) -> tuple[Tensor, Tensor]:
    """Draw a brain-like ellipse with a bright rim and two dark ventricles, (1, size, size), and its mask."""
    generator = torch.Generator().manual_seed(index)
    a, b, v = (torch.rand(3, generator=generator) * 0.1 - 0.05).tolist()
    axis = torch.linspace(-1, 1, size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    radius = (rows / (0.85 + a)) ** 2 + (columns / (0.7 + b)) ** 2
    brain = radius < 1
    image = 0.5 + 0.3 * (radius > 0.7).float()
    for sign in (-1, 1):
        ventricle = ((rows / 0.35) ** 2 + ((columns - sign * 0.18) / (0.1 + v)) ** 2) < 1
        image = torch.where(ventricle, 0.1, image)
    return (image * brain)[None], brain.float()[None]


@DATASETS.register("toy")
class Toy:
    """Brain-like slices drawn by formula.

    Args:
        size: Side in pixels.
        count: Number of slices.
        split: "train" or "val"; the two share no slice.
        space: Space of the model; its size, if there is one, takes the place of ``size``.
    """

    def __init__(
        self, size: int = 32, count: int = 24, split: str = "train", space: SpaceConfig | None = None
    ) -> None:
        refuse_neighbours(space, "toy")
        self.size = space.size if space else size
        self.count = count
        self._first = 0 if split == "train" else 1_000_000

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> TrainingItem:
        if not 0 <= index < self.count:
            raise IndexError(index)
        image, mask = draw_toy_slice(self.size, self._first + index)
        return TrainingItem(image, mask, f"toy-{self._first + index}")
