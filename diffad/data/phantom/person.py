"""One person's head on the voxels of a phantom, and what a scanner makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.phantom.anatomy import PhantomGrid, load_tissues
from diffad.data.phantom.contrast import CONTRASTS, draw_surroundings, paint
from diffad.data.phantom.deform import Warp, draw_warp
from diffad.data.phantom.lesion import PhantomLesions
from diffad.data.phantom.scanner import blur, scan_ct, scan_mri
from diffad.data.phantom.tissue import Tissue, bend
from diffad.types import generator_for

SHAPE, FLUID = 0, 1
"""Streams of randomness of one person."""

Axes = tuple[Tensor, Tensor, Tensor]
Box = tuple[slice, slice, slice]
COARSE = 4
"""Edge of the voxels in which the brain is looked for, in mm."""


@dataclass(frozen=True)
class Person:
    """One person.

    Args:
        grid: Voxels of the phantom.
        warp: Where the template shows what is there.
        box: Part of the grid around the brain; all that has no skull is computed only there.
        tissue: Tissues in the box.
    """

    grid: PhantomGrid
    warp: Warp
    box: Box
    tissue: Tissue

    @classmethod
    def draw(cls, seed: int, subject: int, spacing: float) -> Person:
        """Draw the person that follows from seed and number, whatever the spacing."""
        grid, warp = PhantomGrid(spacing), draw_warp(generator_for(seed, subject, SHAPE))
        box, template = _box(grid, warp), load_tissues(max(1, math.floor(spacing)))
        points = warp(_part(grid.axes, box))
        return cls(grid, warp, box, bend(template, points, generator_for(seed, subject, FLUID)))

    def scan(self, modality: str, lesion: PhantomLesions | None, generator: torch.Generator) -> Tensor:
        """Return a scan (I, J, K) of the person with lesions, or without.

        Args:
            modality: What to scan with.
            lesion: Lesions in the box; none in a healthy brain.
            generator: Source of contrast, sensitivity and noise.
        """
        contrast, spacing = CONTRASTS[modality], self.grid.spacing
        image = paint(contrast, self.tissue, generator)
        image = image if lesion is None else lesion.show(image, modality)
        if not contrast.ct:
            axes, inside = _part(self.grid.axes, self.box), self.tissue.inside
            return self.whole(scan_mri(blur(image, spacing), inside, axes, contrast.noise, generator))
        points, brain = self.warp(self.grid.axes), self.whole(self.tissue.brain)
        image = self.whole(image) + draw_surroundings(brain, points, self.grid.axes, spacing, generator)
        return scan_ct(blur(image, spacing), contrast.noise, generator)

    def whole(self, part: Tensor) -> Tensor:
        """Put what was computed in the box into the whole grid, among zeros."""
        image = part.new_zeros([len(u) for u in self.grid.axes])
        image[self.box] = part
        return image


def _box(grid: PhantomGrid, warp: Warp) -> Box:
    stride = max(1, round(COARSE / grid.spacing))
    axes = _part(grid.axes, (slice(None, None, stride),) * 3)
    brain = load_tissues(COARSE).at(warp(axes))[2] > 0.02
    ends = [(stride * (int(n.min()) - 1), stride * (int(n.max()) + 2)) for n in brain.nonzero().T]
    i, j, k = (slice(max(first, 0), last) for first, last in ends)
    return i, j, k


def _part(axes: Axes, box: Box) -> Axes:
    i, j, k = (u[part] for u, part in zip(axes, box, strict=True))
    return i, j, k
