"""OpenSimplex noise in four dimensions, summed vertex by vertex over the planes of a volume.

Every vertex within reach counts. opensimplex leaves some out where their bump is all but zero, by rules of
many cases, and so jumps by up to 5e-4 between regions; the sum here is smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, floor, sqrt

import numpy as np

from diffad.noise._compile import compile_fast, compile_parallel, run_tasks
from diffad.noise._kernel3 import REACH, ROWS, Floats, Integers, shuffle_table
from diffad.noise._lattice import GRADIENTS4

SQUISH = (sqrt(5) - 1) / 4


def sum_fields4(
    seeds: Sequence[int],
    origins: Floats,
    shape: tuple[int, int, int],
    octaves: int,
    persistence: float,
    feature_size: float,
) -> Floats:
    """Sum octaves of noise for N fields (N, D, H, W) that begin at ``origins`` (N, 4), x first, in voxels.

    The planes D lie along z; w is the same throughout a field.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2; in four dimensions: Annotsim (Kumar et al., WACV 2025).
    """
    depth, height, width = shape
    out = np.zeros((len(seeds), depth, height, width))
    tables = [shuffle_table(seed) for seed in seeds]
    blocks = list(product(range(len(seeds)), range(depth), range(0, height, ROWS)))

    def fill(index: int) -> None:
        n, plane, top = blocks[index]
        origin = origins[n] + np.array([0, top, plane, 0])
        block = out[n, plane, top : top + ROWS]
        _add_octaves(block, tables[n], origin, octaves, persistence, feature_size, GRADIENTS4)

    run_tasks(fill, len(blocks))
    return out


@compile_fast
def _add_vertex(
    out: Floats, x: float, y: float, height: float, rest: float, step: float, gx: float, gy: float
) -> None:
    r"""Add :math:`(2 - r^2)^4\, g \cdot d` of one vertex, from which the first voxel is at (x, y).

    The other two coordinates leave ``height`` of :math:`2 - r^2` and add ``rest`` to :math:`g \cdot d`.
    """
    size, reach = 1 / step, sqrt(height)
    first_row = max(0, ceil((-reach - y) * size))
    for i in range(first_row, min(len(out), floor((reach - y) * size) + 1)):
        dy = y + i * step
        row_height = max(0.0, height - dy * dy)
        half, slope = sqrt(row_height), rest + gy * dy
        start = max(0, ceil((-half - x) * size))
        span = out[i, start : max(start, min(out.shape[1], floor((half - x) * size) + 1))]
        x_start = x + start * step
        for j in range(len(span)):
            dx = x_start + j * step
            bump = row_height - dx * dx
            bump *= bump
            span[j] += bump * bump * (gx * dx + slope)


@compile_parallel
def _add_octave(
    out: Floats, perm: Integers, origin: Floats, step: float, gradients: Floats, a: float
) -> None:
    r"""Add one octave to rows whose first voxel lies at ``origin`` (x, y, z, w), in lattice units.

    Vertex (i, j, k, l) lies at :math:`(i, j, k, l) + G s, \; s = i + j + k + l`; its coordinates add up to
    :math:`\sqrt 5 s`.
    """
    x, y, z, w = origin
    right, bottom = x + (out.shape[1] - 1) * step, y + (out.shape[0] - 1) * step
    margin, root = 2 * REACH, sqrt(5)
    for s in range(
        ceil((x + y + z + w - margin) / root), floor((right + bottom + z + w + margin) / root) + 1
    ):
        shift = SQUISH * s
        for n in range(ceil(w - REACH - shift), floor(w + REACH - shift) + 1):
            dw = w - n - shift
            reach = sqrt(max(0.0, 2 - dw * dw))
            for k in range(ceil(z - reach - shift), floor(z + reach - shift) + 1):
                dz = z - k - shift
                height = max(0.0, 2 - dw * dw - dz * dz)
                _add_line(out, perm, (x, y, right, bottom), (s, k, n), (dz, dw), height, step, gradients, a)


@compile_parallel
def _add_line(
    out: Floats,
    perm: Integers,
    box: tuple[float, float, float, float],
    line: tuple[int, int, int],
    offset: tuple[float, float],
    height: float,
    step: float,
    gradients: Floats,
    a: float,
) -> None:
    """Add the vertices that share s, k and l, and lie at ``offset`` from the plane along z and w."""
    x, y, right, bottom = box
    s, k, n = line
    shift, reach = SQUISH * s, sqrt(height)
    low = max(y - reach - shift, s - k - n + shift - right - reach)
    high = min(bottom + reach - shift, s - k - n + shift - x + reach)
    for j in range(ceil(low), floor(high) + 1):
        i = s - k - n - j
        g = gradients[perm[(perm[(perm[(perm[i & 255] + j) & 255] + k) & 255] + n) & 255] // 4]
        rest = a * (g[2] * offset[0] + g[3] * offset[1])
        _add_vertex(out, x - i - shift, y - j - shift, height, rest, step, a * g[0], a * g[1])


@compile_parallel
def _add_octaves(
    out: Floats,
    perm: Integers,
    origin: Floats,
    octaves: int,
    persistence: float,
    feature_size: float,
    gradients: Floats,
) -> None:
    """Add all octaves to rows whose first voxel lies at ``origin`` (x, y, z, w), in voxels."""
    amplitude, size = 1.0, feature_size
    for _ in range(octaves):
        if size >= 1:
            _add_octave(out, perm, origin / size, 1 / size, gradients, amplitude)
        else:
            # A bump is narrower than the way to the next voxel: go voxel by voxel.
            for i in range(out.shape[0]):
                for j in range(out.shape[1]):
                    place = (origin + np.array([j, i, 0, 0])) / size
                    _add_octave(out[i : i + 1, j : j + 1], perm, place, 1 / size, gradients, amplitude)
        amplitude *= persistence
        size /= 2
