"""OpenSimplex noise summed vertex by vertex: each lattice point adds its bump to the voxels it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, floor, sqrt

import numpy as np
from numpy.typing import NDArray

from diffad.noise._compile import compile_fast, compile_parallel, run_tasks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RIM = 1 / 6
"""Largest :math:`2 - r^2` at which OpenSimplex leaves out a vertex."""

ROWS = 64
"""Rows that one task fills."""

REACH = sqrt(2)
"""Radius of a bump, which is also the distance between neighbours of the lattice."""


def _list_gradients() -> Floats:
    """List the 24 gradients in the order of OpenSimplex: signs (z slowest, x fastest), then the long axis."""
    rows = []
    for z, y, x in product((1, -1), repeat=3):
        for axis in range(3):
            lengths = np.where(np.arange(3) == axis, 11.0, 4.0)
            rows.append(lengths * (-x, y, z))
    return np.array(rows)


GRADIENTS = _list_gradients() / 103


@compile_parallel
def shuffle_table(seed: int) -> Integers:
    """Shuffle 0..255 by a 64-bit linear congruential generator, as OpenSimplex does."""
    state = np.int64(seed)
    source = np.arange(256)
    table = np.zeros(256, np.int64)
    for _ in range(3):
        state = state * np.int64(6364136223846793005) + np.int64(1442695040888963407)
    for i in range(255, -1, -1):
        state = state * np.int64(6364136223846793005) + np.int64(1442695040888963407)
        r = (state + 31) % (i + 1)
        table[i] = source[r]
        source[r] = source[i]
    return table


def sum_fields3(
    seeds: Sequence[int],
    origins: Floats,
    shape: tuple[int, int, int],
    octaves: int,
    persistence: float,
    feature_size: float,
) -> Floats:
    """Sum octaves of noise3 for N fields (N, D, H, W) that begin at ``origins`` (N, 3), x first, in voxels.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2.
    """
    depth, height, width = shape
    out = np.zeros((len(seeds), depth, height, width))
    tables = [shuffle_table(seed) for seed in seeds]
    blocks = list(product(range(len(seeds)), range(depth), range(0, height, ROWS)))

    def fill(index: int) -> None:
        n, plane, top = blocks[index]
        x, y, z = origins[n]
        block = out[n, plane, top : top + ROWS]
        _add_octaves(block, tables[n], x, y + top, z + plane, octaves, persistence, feature_size, GRADIENTS)

    run_tasks(fill, len(blocks))
    return out


@compile_fast
def _is_left_out(dx: float, dy: float, dz: float) -> bool:
    r"""Tell whether OpenSimplex leaves out a vertex, as it does where the bump is all but zero.

    With :math:`a \ge b \ge c` the absolute coordinates in the cubic frame of the lattice, that is where
    :math:`a + b + c > 2` and :math:`a - c > 1`; it implies :math:`r^2 > 11 / 6`.
    """
    tilt = (dx + dy + dz) * (2 / 3)
    a, b, c = abs(tilt - dx), abs(tilt - dy), abs(tilt - dz)
    return a + b + c > 2 and max(a, max(b, c)) - min(a, min(b, c)) > 1


@compile_fast
def _trim(
    row: Floats, order: range, x: float, step: float, dy: float, dz: float, g: tuple[float, float]
) -> int:
    """Take back what OpenSimplex leaves out, inwards from one end of the row; return where that ends."""
    height = 2 - dy * dy - dz * dz
    for i in order:
        dx = x + i * step
        bump = height - dx * dx
        if bump > RIM:
            return i
        if _is_left_out(dx, dy, dz):
            row[i] -= bump**4 * (g[0] * dx + g[1])
    return len(row)


@compile_fast
def _add_row(
    row: Floats, x: float, step: float, size: float, dy: float, dz: float, gx: float, gy: float, gz: float
) -> None:
    r"""Add :math:`(2 - r^2)^4\, g \cdot d` of one vertex along a row that begins ``x`` to its right."""
    height = max(0.0, 2 - dy * dy - dz * dz)
    half = sqrt(height)
    rest = gy * dy + gz * dz
    start = max(0, ceil((-half - x) * size))
    span = row[start : max(start, min(len(row), floor((half - x) * size) + 1))]
    x += start * step
    for i in range(len(span)):
        dx = x + i * step
        bump = height - dx * dx
        bump *= bump
        span[i] += bump * bump * (gx * dx + rest)
    end = _trim(span, range(len(span)), x, step, dy, dz, (gx, rest))
    _trim(span, range(len(span) - 1, end - 1, -1), x, step, dy, dz, (gx, rest))


@compile_fast
def _add_vertex(
    out: Floats, x: float, y: float, dz: float, reach: float, step: float, g: Floats, a: float
) -> None:
    """Add one vertex, from which the first voxel is ``x`` to the right and ``y`` below, to its rows."""
    size = 1 / step
    start = max(0, ceil((-reach - y) * size))
    for i in range(start, min(len(out), floor((reach - y) * size) + 1)):
        _add_row(out[i], x, step, size, y + i * step, dz, a * g[0], a * g[1], a * g[2])


@compile_parallel
def _add_octave(
    out: Floats, perm: Integers, x: float, y: float, z: float, step: float, g: Floats, a: float
) -> None:
    r"""Add one octave to rows whose first voxel is at (x, y, z), in lattice units.

    Vertex (i, j, k) lies at :math:`(i, j, k) + s / 3, \; s = i + j + k`, so its coordinates add up to 2s.
    """
    right, bottom = x + (out.shape[1] - 1) * step, y + (out.shape[0] - 1) * step
    margin = 3 * REACH
    for s in range(ceil((x + y + z - margin) / 2), floor((right + bottom + z + margin) / 2) + 1):
        shift = s / 3
        for k in range(ceil(z - REACH - shift), floor(z + REACH - shift) + 1):
            dz = z - k - shift
            reach = sqrt(max(0.0, 2 - dz * dz))
            low = max(y - reach - shift, s - k + shift - right - reach)
            high = min(bottom + reach - shift, s - k + shift - x + reach)
            for j in range(ceil(low), floor(high) + 1):
                i = s - k - j
                index = perm[(perm[(perm[i & 255] + j) & 255] + k) & 255] % 24
                _add_vertex(out, x - i - shift, y - j - shift, dz, reach, step, g[index], a)


@compile_parallel
def _add_fine_octave(
    out: Floats, perm: Integers, x: float, y: float, z: float, size: float, g: Floats, a: float
) -> None:
    """Add an octave with more vertices than voxels voxel by voxel; the first is at (x, y, z), in voxels."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            voxel = out[i : i + 1, j : j + 1]
            _add_octave(voxel, perm, (x + j) / size, (y + i) / size, z / size, 1 / size, g, a)


@compile_parallel
def _add_octaves(
    out: Floats,
    perm: Integers,
    x: float,
    y: float,
    z: float,
    octaves: int,
    persistence: float,
    feature_size: float,
    gradients: Floats,
) -> None:
    """Add all octaves to rows whose first voxel is at (x, y, z), in voxels."""
    amplitude, size = 1.0, feature_size
    for _ in range(octaves):
        if size >= 1:
            _add_octave(out, perm, x / size, y / size, z / size, 1 / size, gradients, amplitude)
        else:
            _add_fine_octave(out, perm, x, y, z, size, gradients, amplitude)
        amplitude *= persistence
        size /= 2
