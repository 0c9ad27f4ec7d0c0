"""OpenSimplex noise on an accelerator: every voxel gathers the bumps of the lattice points around it.

Only permutation tables and the places of rows, columns and planes travel there. These are split into whole
cells and a rest in double precision on the host, so that single precision is enough for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from diffad.noise import _kernel3
from diffad.noise._lattice import GRADIENTS2, GRADIENTS4, SQUISH, STRETCH, Floats

CHUNK = 2**21
"""Voxels that are computed at a time, which bounds the memory to some 300 MB."""

Split = tuple[Tensor, Tensor]
"""Whole cells and the rest, in skewed coordinates, (N, L, dims) each."""


def sum_device_fields(
    seeds: Sequence[int],
    origins: Floats,
    shape: tuple[int, int, int],
    octaves: int,
    persistence: float,
    feature_size: float,
    like: Tensor,
) -> Tensor:
    """Sum octaves for N fields (N, D, H, W) that begin at ``origins`` (N, dims), on the device of ``like``.

    Equal to the kernels of the CPU within 1e-5, as long as no voxel lies on a border between cells.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2.
    """
    real = torch.float64 if like.dtype == torch.float64 else torch.float32
    depth, height, width = shape
    perm = torch.from_numpy(np.stack([_kernel3.shuffle_table(seed) for seed in seeds])).to(like.device)
    out = torch.zeros((len(seeds) * depth, height, width), dtype=real, device=like.device)
    amplitude, size = 1.0, feature_size
    for _ in range(octaves):
        axes = [_move_split(split, real, like.device) for split in _split_axes(origins, shape, size)]
        for start in range(0, len(out), count := max(1, CHUNK // (height * width))):
            block = out[start : start + count]
            planes = torch.arange(start, start + len(block), device=like.device)
            _add_octave(block, perm, axes, planes, amplitude)
        amplitude *= persistence
        size /= 2
    return rearrange(out, "(n d) h w -> n d h w", d=depth)


def _move_split(split: tuple[Floats, Floats], real: torch.dtype, device: torch.device) -> Split:
    cells, rest = split
    return torch.from_numpy(cells.astype(np.int64)).to(device), torch.from_numpy(rest).to(device, real)


def _split_axes(origins: Floats, shape: tuple[int, int, int], size: float) -> list[tuple[Floats, Floats]]:
    """Split the places of columns, rows and planes, each (N, L, dims) in skewed coordinates."""
    dims = origins.shape[1]
    planes = np.zeros((len(origins), shape[0], dims))
    planes[..., 2:] = origins[:, None, 2:]
    if dims > 2:
        planes[..., 2] += np.arange(shape[0])
    vectors = [planes]
    for axis, length in ((1, shape[1]), (0, shape[2])):
        line = np.zeros((len(origins), length, dims))
        line[..., axis] = origins[:, None, axis] + np.arange(length)
        vectors.append(line)
    skewed_vectors = [v / size + STRETCH[dims] * (v / size).sum(-1, keepdims=True) for v in vectors]
    return [(np.round(q), q - np.round(q)) for q in skewed_vectors]


def _add_octave(out: Tensor, perm: Tensor, axes: list[Split], planes: Tensor, amplitude: float) -> None:
    """Add one octave to the planes (P, H, W) of these numbers."""
    (z_cells, z), (y_cells, y), (x_cells, x) = axes
    n, k = planes // z.shape[1], planes % z.shape[1]

    def sum_axes(a: int, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return z[n, k, a][:, None, None] + y[n, :, a][:, :, None] + x[n, :, a][:, None, :]

    rest = [sum_axes(a, z, y, x) for a in range(z.shape[-1])]
    floors = [q.floor() for q in rest]
    cells = [sum_axes(a, z_cells, y_cells, x_cells) + floor.long() for a, floor in enumerate(floors)]
    fractions = [q - floor for q, floor in zip(rest, floors, strict=True)]
    rows = (n * perm.shape[1])[:, None, None]
    for vertex, code in _iterate_vertices(perm.flatten(), rows, cells):
        distances = [q - v for q, v in zip(fractions, vertex, strict=True)]
        out.add_(_compute_bump(distances, code), alpha=amplitude)


def _iterate_vertices(
    perm: Tensor, rows: Tensor, cells: list[Tensor]
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Go through the vertices around a cell with their entries of the permutation table."""
    codes: list[Tensor] = []
    previous_vertex: tuple[int, ...] = ()
    for vertex in list_vertices(len(cells)):
        prefix = next((a for a, (v, w) in enumerate(zip(vertex, previous_vertex, strict=False)) if v != w), 0)
        del codes[prefix:]
        for a in range(prefix, len(cells)):
            place = cells[a] + vertex[a] + (codes[-1] if codes else 0)
            codes.append(perm[rows + (place & 255)])
        previous_vertex = vertex
        yield vertex, codes[-1]


def _compute_bump(u: list[Tensor], code: Tensor) -> Tensor:
    r"""Compute :math:`(2 - r^2)^4\, g \cdot d` at the skewed distances ``u`` from a vertex."""
    dims, total = len(u), torch.stack(u).sum(0)
    height = 2 - total * total - sum(q * q for q in u)
    height = height.clamp(min=0)
    if dims == 3:
        height = height.masked_fill(_find_left_out(u, total), 0)
    index = {2: code % 16 // 2, 3: code % 24, 4: code // 4}[dims]
    gradients = _load_gradients(dims, code.device, total.dtype)[index]
    shift = SQUISH[dims] * total
    slope = sum(gradients[..., a] * (q + shift) for a, q in enumerate(u))
    return height.square().square() * slope


def _find_left_out(u: list[Tensor], total: Tensor) -> Tensor:
    """Tell where OpenSimplex leaves out a vertex in three dimensions, as the kernel of the CPU does."""
    distances = [(total - q).abs() for q in u]
    longest = torch.maximum(torch.maximum(distances[0], distances[1]), distances[2])
    shortest = torch.minimum(torch.minimum(distances[0], distances[1]), distances[2])
    return (distances[0] + distances[1] + distances[2] > 2) & (longest - shortest > 1)


def _load_gradients(dims: int, device: torch.device, real: torch.dtype) -> Tensor:
    table = {2: GRADIENTS2, 3: _kernel3.GRADIENTS, 4: GRADIENTS4}[dims]
    return torch.from_numpy(table).to(device, real)


@lru_cache
def list_vertices(dims: int) -> tuple[tuple[int, ...], ...]:
    """List the vertices within reach of some point of the cell from 0 to 1, in skewed coordinates."""
    return tuple(v for v in product(range(-2, 4), repeat=dims) if _measure_distance(v) < 2)


def _measure_distance(vertex: tuple[int, ...]) -> float:
    """Return the least squared distance of a vertex from the cell, one axis at a time."""
    u = [0.5 - v for v in vertex]
    for _ in range(60):
        for a, v in enumerate(vertex):
            u[a] = min(max((u[a] - sum(u)) / 2, -v), 1 - v)
    return sum(u) ** 2 + sum(q * q for q in u)
