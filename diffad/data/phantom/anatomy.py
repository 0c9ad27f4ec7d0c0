"""The anatomy behind every phantom: the MNI152 template that comes with nilearn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from diffad.data.phantom.head import measure_surfaces
from diffad.data.volume import Array

ORIGIN = (-98.0, -134.0, -72.0)
"""Centre of the first voxel of the template, in mm."""

EXTENT = (197.0, 233.0, 189.0)
"""Edges of the template, in mm."""

SPACINGS = (0.5, 8.0)
"""Smallest and largest voxel of a phantom, in mm."""

SURFACE_PITCH = 3
"""Voxel of the distance maps of the head, in mm."""


@dataclass(frozen=True)
class TemplateMaps:
    """Maps on the box of the template, to be sampled anywhere.

    Args:
        values: Maps, (C, I, J, K).
        pitch: Edge of a voxel, in mm.
    """

    values: Tensor
    pitch: int

    def sample(self, points: Tensor) -> Tensor:
        """Interpolate at ``points`` (3, I, J, K) in mm; beyond the box the outermost voxels go on."""
        size = torch.tensor(self.values.shape[1:]).to(points)
        first = torch.tensor(ORIGIN).to(points) + (self.pitch - 1) / 2
        scale = 2 / (self.pitch * (size - 1))
        grid = torch.stack([(points[a] - first[a]) * scale[a] - 1 for a in (2, 1, 0)], -1)
        return F.grid_sample(self.values[None], grid[None], padding_mode="border", align_corners=True)[0]


@dataclass(frozen=True)
class PhantomGrid:
    """Voxels of a phantom: the box of the template, with the same first voxel.

    Args:
        spacing: Edge of a voxel, in mm.

    Raises:
        ValueError: If the spacing is out of range.
    """

    spacing: float = 1.0

    def __post_init__(self) -> None:
        low, high = SPACINGS
        if not low <= self.spacing <= high:
            raise ValueError(f"expected a spacing of {low:g} to {high:g} mm, got {self.spacing:g}")

    @property
    def axes(self) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the voxels along each axis, in mm."""
        i, j, k = (
            first + self.spacing * torch.arange(round((edge - 1) / self.spacing) + 1)
            for first, edge in zip(ORIGIN, EXTENT, strict=True)
        )
        return i, j, k

    @property
    def affine(self) -> Array:
        """Voxel to world matrix, (4, 4), in mm; the axes run to the right, anterior and superior."""
        affine = np.diag([self.spacing] * 3 + [1.0])
        affine[:3, 3] = ORIGIN
        return affine

    @property
    def points(self) -> Tensor:
        """Positions of all voxels, (3, I, J, K), in mm."""
        return torch.stack(torch.meshgrid(*self.axes, indexing="ij"))


@lru_cache(maxsize=2)
def load_tissues(pitch: int) -> TemplateMaps:
    """Return the fractions of grey matter, white matter and brain in the template, averaged over voxels.

    Args:
        pitch: Edge of a voxel, in mm.

    Raises:
        ImportError: If nilearn is missing.
    """
    maps = _load_template()
    return TemplateMaps(maps if pitch == 1 else F.avg_pool3d(maps[None], pitch, ceil_mode=True)[0], pitch)


@lru_cache(maxsize=1)
def load_head() -> TemplateMaps:
    """Return the distances from the hull of the brain and from the head around it, in mm; negative inside.

    Raises:
        ImportError: If nilearn is missing.
    """
    brain = load_tissues(SURFACE_PITCH).values[2].numpy() > 0.5
    return TemplateMaps(torch.from_numpy(measure_surfaces(brain, SURFACE_PITCH, ORIGIN[2])), SURFACE_PITCH)


@lru_cache(maxsize=1)
def _load_template() -> Tensor:
    try:
        from nilearn import datasets
    except ImportError as error:
        raise ImportError(
            "expected nilearn, which holds the anatomy of phantoms; install it: pip install 'diffad[demo]'"
        ) from error
    names = ("gm_template", "wm_template", "brain_mask")
    images = [getattr(datasets, f"load_mni152_{name}")(resolution=1) for name in names]
    maps = np.stack([np.asarray(image.dataobj, dtype=np.float32) for image in images], -1)
    return rearrange(torch.from_numpy(maps), "i j k c -> c i j k").contiguous()
