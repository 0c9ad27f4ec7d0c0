"""OpenSimplex noise in two dimensions, summed vertex by vertex; opensimplex leaves none out here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, floor, sqrt

import numpy as np

from diffad.noise._compile import compile_parallel, run_tasks
from diffad.noise._kernel3 import REACH, ROWS, Floats, Integers, shuffle_table
from diffad.noise._kernel4 import _add_vertex
from diffad.noise._lattice import GRADIENTS2

SQUISH = (sqrt(3) - 1) / 2


def sum_fields2(
    seeds: Sequence[int],
    origins: Floats,
    shape: tuple[int, int, int],
    octaves: int,
    persistence: float,
    feature_size: float,
) -> Floats:
    """Sum octaves of noise2 for N fields (N, 1, H, W) that begin at ``origins`` (N, 2), x first, in voxels.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2.
    """
    _, height, width = shape
    out = np.zeros((len(seeds), 1, height, width))
    tables = [shuffle_table(seed) for seed in seeds]
    blocks = list(product(range(len(seeds)), range(0, height, ROWS)))

    def fill(index: int) -> None:
        n, top = blocks[index]
        x, y = origins[n]
        block = out[n, 0, top : top + ROWS]
        _add_octaves(block, tables[n], x, y + top, octaves, persistence, feature_size, GRADIENTS2)

    run_tasks(fill, len(blocks))
    return out


@compile_parallel
def _add_octave(out: Floats, perm: Integers, x: float, y: float, step: float, g: Floats, a: float) -> None:
    r"""Add one octave to rows whose first pixel is at (x, y), in lattice units.

    Vertex (i, j) lies at :math:`(i, j) + G s, \; s = i + j`, so its coordinates add up to :math:`\sqrt 3 s`.
    """
    right, bottom = x + (out.shape[1] - 1) * step, y + (out.shape[0] - 1) * step
    margin, root = sqrt(2) * REACH, sqrt(3)
    for s in range(ceil((x + y - margin) / root), floor((right + bottom + margin) / root) + 1):
        shift = SQUISH * s
        low = max(y - REACH - shift, s + shift - right - REACH)
        high = min(bottom + REACH - shift, s + shift - x + REACH)
        for j in range(ceil(low), floor(high) + 1):
            i = s - j
            slope = g[perm[(perm[i & 255] + j) & 255] % 16 // 2]
            _add_vertex(out, x - i - shift, y - j - shift, 2.0, 0.0, step, a * slope[0], a * slope[1])


@compile_parallel
def _add_octaves(
    out: Floats,
    perm: Integers,
    x: float,
    y: float,
    octaves: int,
    persistence: float,
    feature_size: float,
    gradients: Floats,
) -> None:
    """Add all octaves to rows whose first pixel is at (x, y), in pixels."""
    amplitude, size = 1.0, feature_size
    for _ in range(octaves):
        if size >= 1:
            _add_octave(out, perm, x / size, y / size, 1 / size, gradients, amplitude)
        else:
            for i in range(out.shape[0]):
                for j in range(out.shape[1]):
                    voxel = out[i : i + 1, j : j + 1]
                    _add_octave(voxel, perm, (x + j) / size, (y + i) / size, 1 / size, gradients, amplitude)
        amplitude *= persistence
        size /= 2
