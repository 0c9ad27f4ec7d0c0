"""OpenSimplex noise summed voxel by voxel with the published function, equal to it in every bit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffad.noise._compile import compile_cached, compile_parallel, run_tasks
from diffad.noise._kernel3 import Floats, Integers

opensimplex: Any = compile_cached(lambda: importlib.import_module("opensimplex.internals"))
noise2, noise3, noise4 = opensimplex._noise2, opensimplex._noise3, opensimplex._noise4


def sum_reference_fields(
    seeds: Sequence[int],
    origins: Floats,
    shape: tuple[int, int, int],
    octaves: int,
    persistence: float,
    feature_size: float,
) -> Floats:
    """Sum octaves of noise2, 3 or 4 for N fields (N, D, H, W) that begin at ``origins`` (N, 2, 3 or 4).

    Origins are in voxels, x first. The planes D lie along z, so that there is but one in two dimensions.

    Reference:
        AnoDDPM (Wyatt et al., 2022), section 3.2.
    """
    out = np.zeros((len(seeds), *shape))
    tables: list[tuple[Integers, Integers]] = [opensimplex._init(seed) for seed in seeds]
    dims = origins.shape[1]
    corners = np.concatenate([origins, np.zeros((len(seeds), 4 - dims))], axis=1)

    def fill(index: int) -> None:
        n, plane = divmod(index, shape[0])
        x, y, z, w = corners[n]
        perm, gradients = tables[n]
        block = out[n, plane]
        _add_octaves(block, perm, gradients, dims, x, y, z + plane, w, octaves, persistence, feature_size)

    run_tasks(fill, len(seeds) * shape[0])
    return out


@compile_parallel
def _sample(perm: Integers, gradients: Integers, dims: int, x: float, y: float, z: float, w: float) -> float:
    """Return noise2, 3 or 4 at (x, y, z, w), in lattice units; coordinates beyond ``dims`` play no part."""
    if dims == 2:
        return noise2(x, y, perm)
    if dims == 3:
        return noise3(x, y, z, perm, gradients)
    return noise4(x, y, z, w, perm)


@compile_parallel
def _add_octaves(
    out: Floats,
    perm: Integers,
    gradients: Integers,
    dims: int,
    x: float,
    y: float,
    z: float,
    w: float,
    octaves: int,
    persistence: float,
    feature_size: float,
) -> None:
    """Add all octaves to a plane whose first voxel is at (x, y, z, w), in voxels."""
    amplitude, size = 1.0, feature_size
    for _ in range(octaves):
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                value = _sample(perm, gradients, dims, (x + j) / size, (y + i) / size, z / size, w / size)
                out[i, j] += amplitude * value
        amplitude *= persistence
        size /= 2
