"""Where a lesion lies and what shape it has."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

EDGE = 0.25
"""Half-width of the soft edge, as a fraction of the radius."""


@dataclass(frozen=True)
class Blob:
    """An irregular ellipsoid.

    Args:
        centre: Voxel it grows from.
        radius: Radius of the ball of equal volume, in voxels.
        offset: Vector from the centre to each voxel, (*S, n) with n spatial axes.
        q: Distance from the centre in units of the distance of the border in that direction, (*S).
    """

    centre: tuple[int, ...]
    radius: float
    offset: Tensor
    q: Tensor

    @property
    def weight(self) -> Tensor:
        """Soft indicator (*S): 1 inside, 1/2 at the border, 0 beyond the edge."""
        u = ((1 + EDGE - self.q) / (2 * EDGE)).clamp(0, 1)
        return u * u * (3 - 2 * u)


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """Draw one number from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator, device=generator.device))


def normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers with the device and dtype of ``like``."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def draw_blob(places: Tensor, radius: float, generator: torch.Generator, like: Tensor) -> Blob:
    """Grow an irregular ellipsoid around one of the ``places``.

    Args:
        places: Voxels a centre may be drawn from, (*S), boolean, at least one.
        radius: Radius in voxels.
        generator: Source of all randomness.
        like: Tensor whose device and dtype the blob takes.
    """
    candidates = places.nonzero()
    centre = candidates[int(uniform(0, len(candidates), generator))]
    axes = [torch.arange(n, device=like.device, dtype=like.dtype) for n in places.shape]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - centre.to(like)
    border = radius * (1 + _irregularity(offset, generator))
    return Blob(tuple(centre.tolist()), radius, offset, _ellipsoid_norm(offset, generator) / border)


def deep_places(brain: Tensor, depth: float) -> Tensor:
    """Mark the voxels of ``brain`` (*S) at least ``depth`` from its border, or the deepest where none are."""
    from scipy.ndimage import distance_transform_edt

    # a rim of zeros, so that the border of the image counts as a border of the brain
    padded = F.pad(brain.cpu(), (1, 1) * brain.ndim)
    distance = torch.from_numpy(distance_transform_edt(padded.numpy()))
    distance = distance[(slice(1, -1),) * brain.ndim].to(brain.device)
    return distance >= min(depth, 0.8 * float(distance.max()))


def _ellipsoid_norm(offset: Tensor, generator: torch.Generator) -> Tensor:
    n = offset.shape[-1]
    rotation = torch.linalg.qr(normal((n, n), offset, generator)).Q
    stretch = (0.2 * normal((n,), offset, generator)).clamp(-0.4, 0.4)
    return torch.linalg.vector_norm((offset @ rotation) * (stretch - stretch.mean()).exp(), dim=-1)


def _irregularity(offset: Tensor, generator: torch.Generator, waves: int = 6) -> Tensor:
    # waves over the unit sphere, so that every ray from the centre crosses the border once
    direction = F.normalize(offset, dim=-1)
    vectors = 2.5 * normal((offset.shape[-1], waves), offset, generator)
    phases = rearrange(2 * math.pi * normal((waves,), offset, generator), "k -> 1 k")
    return (0.4 * (direction @ vectors + phases).cos().mean(-1)).clamp(-0.4, 0.4)
