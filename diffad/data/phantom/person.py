"""The head of one person on the voxels of a phantom, and its scans."""

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
SEARCH_PITCH = 4
"""Edge of the voxels of the search for the brain, in mm."""


@dataclass(frozen=True)
class Person:
    """One person.

    Args:
        grid: Voxels of the phantom.
        warp: Map to positions in the template.
        box: Box of the grid around the brain; what has no skull is computed only there.
        tissue: Tissues in the box.
    """

    grid: PhantomGrid
    warp: Warp
    box: Box
    tissue: Tissue

    @classmethod
    def draw(cls, seed: int, subject: int, spacing: float) -> Person:
        """Draw the person of a seed and a number; the spacing does not change who it is."""
        grid, warp = PhantomGrid(spacing), draw_warp(generator_for(seed, subject, SHAPE))
        box, template = _find_box(grid, warp), load_tissues(max(1, math.floor(spacing)))
        points = warp(_select_axes(grid.axes, box))
        return cls(grid, warp, box, bend(template, points, generator_for(seed, subject, FLUID)))

    def scan(self, modality: str, lesion: PhantomLesions | None, generator: torch.Generator) -> Tensor:
        """Return a scan (I, J, K) of the person, with lesions or without.

        Args:
            modality: Modality of the scan.
            lesion: Lesions in the box; none in a healthy brain.
            generator: Source of contrast, sensitivity and noise.
        """
        contrast, spacing = CONTRASTS[modality], self.grid.spacing
        image = paint(contrast, self.tissue, generator)
        image = image if lesion is None else lesion.show(image, modality)
        if not contrast.ct:
            axes, mask = _select_axes(self.grid.axes, self.box), self.tissue.brain_mask
            return self.fill_grid(scan_mri(blur(image, spacing), mask, axes, contrast.noise, generator))
        points, brain = self.warp(self.grid.axes), self.fill_grid(self.tissue.brain)
        image = self.fill_grid(image) + draw_surroundings(brain, points, self.grid.axes, spacing, generator)
        return scan_ct(blur(image, spacing), contrast.noise, generator)

    def fill_grid(self, values: Tensor) -> Tensor:
        """Put values of the box into the whole grid, with zeros around them."""
        image = values.new_zeros([len(u) for u in self.grid.axes])
        image[self.box] = values
        return image


def _find_box(grid: PhantomGrid, warp: Warp) -> Box:
    stride = max(1, round(SEARCH_PITCH / grid.spacing))
    axes = _select_axes(grid.axes, (slice(None, None, stride),) * 3)
    brain = load_tissues(SEARCH_PITCH).sample(warp(axes))[2] > 0.02
    ends = [(stride * (int(n.min()) - 1), stride * (int(n.max()) + 2)) for n in brain.nonzero().T]
    i, j, k = (slice(max(first, 0), last) for first, last in ends)
    return i, j, k


def _select_axes(axes: Axes, box: Box) -> Axes:
    i, j, k = (u[extent] for u, extent in zip(axes, box, strict=True))
    return i, j, k
