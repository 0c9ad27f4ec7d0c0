"""The place and the shape of a lesion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

EDGE = 0.25
"""Half-width of the soft edge, as a fraction of the radius."""

REACH = 3.0
"""Largest distance of a change from the centre, in radii: 4/3 (edge) x 1.4 (border) x 1.5 (stretch)."""


@dataclass(frozen=True)
class Blob:
    """An irregular ellipsoid.

    Args:
        centre: Voxel of the centre.
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


def draw_uniform(low: float, high: float, generator: torch.Generator) -> float:
    """Draw one number from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator, device=generator.device))


def draw_normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers with the device and dtype of ``like``."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like)


def draw_centre(places: Tensor, generator: torch.Generator) -> tuple[int, ...]:
    """Draw one of the ``places``, (*S), boolean, with at least one of them true."""
    candidates = places.nonzero()
    return tuple(candidates[int(draw_uniform(0, len(candidates), generator))].tolist())


def find_box(centre: tuple[int, ...], radius: float, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the box of a grid of ``shape`` that a lesion can reach; the rest need not be computed."""
    half = math.ceil(REACH * radius)
    return tuple(slice(max(c - half, 0), min(c + half + 1, n)) for c, n in zip(centre, shape, strict=True))


def draw_blob(
    centre: tuple[int, ...],
    radius: float,
    shape: tuple[int, ...],
    generator: torch.Generator,
    like: Tensor,
) -> Blob:
    """Draw an irregular ellipsoid.

    Args:
        centre: Voxel of the grid.
        radius: Radius in voxels.
        shape: Shape *S of the grid.
        generator: Source of all randomness.
        like: Tensor whose device and dtype the blob takes.
    """
    axes = [torch.arange(n, device=like.device, dtype=like.dtype) for n in shape]
    offset = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) - torch.tensor(centre).to(like)
    border = radius * (1 + _draw_irregularity(offset, generator))
    return Blob(centre, radius, offset, draw_norm(offset, generator) / border)


def find_deep_places(brain: Tensor, depth: float) -> Tensor:
    """Mark the voxels of ``brain`` (*S) at least ``depth`` from its border, or the deepest where none are."""
    from scipy.ndimage import distance_transform_edt

    # only the box of the brain, in a rim of zeros, so that the border of the image is one of the brain too
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in brain.nonzero(as_tuple=True))
    frame = F.pad(brain[box].cpu(), (1, 1) * brain.ndim)
    depths = distance_transform_edt(frame.numpy())[(slice(1, -1),) * brain.ndim]
    distance = torch.zeros(brain.shape, device=brain.device)
    distance[box] = torch.from_numpy(depths).to(distance)
    return distance >= min(depth, 0.8 * float(distance.max()))


def average_locally(x: Tensor, radius: float) -> Tensor:
    """Average ``x`` (*S) over boxes about as wide as ``radius``."""
    from scipy.ndimage import uniform_filter

    return torch.from_numpy(uniform_filter(x.cpu().numpy(), 2 * round(radius / 2) + 1)).to(x)


def draw_norm(offset: Tensor, generator: torch.Generator) -> Tensor:
    """Measure offsets (*S, n) by a norm whose unit ball is a random ellipsoid of unit volume, (*S)."""
    n = offset.shape[-1]
    rotation = torch.linalg.qr(draw_normal((n, n), offset, generator)).Q
    stretch = (0.2 * draw_normal((n,), offset, generator)).clamp(-0.3, 0.3)
    return torch.linalg.vector_norm((offset @ rotation) * (stretch - stretch.mean()).exp(), dim=-1)


def _draw_irregularity(offset: Tensor, generator: torch.Generator, waves: int = 6) -> Tensor:
    # waves over the unit sphere, so that every ray from the centre crosses the border once
    direction = F.normalize(offset, dim=-1)
    vectors = 2.5 * draw_normal((offset.shape[-1], waves), offset, generator)
    phases = rearrange(2 * math.pi * draw_normal((waves,), offset, generator), "k -> 1 k")
    return (0.4 * (direction @ vectors + phases).cos().mean(-1)).clamp(-0.4, 0.4)
