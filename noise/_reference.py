"""OpenSimplex noise summed voxel by voxel with the published function, equal to it in every bit."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from diffad.noise._compiled import cached, compiled, run_tasks
from diffad.noise._kernel import Floats, Integers

opensimplex: Any = cached(lambda: importlib.import_module("opensimplex.internals"))
noise3 = opensimplex._noise3


def fields(
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
    out = np.zeros((len(seeds), *shape))
    tables: list[tuple[Integers, Integers]] = [opensimplex._init(seed) for seed in seeds]

    def fill(index: int) -> None:
        n, plane = divmod(index, shape[0])
        x, y, z = origins[n]
        perm, gradients = tables[n]
        _add_octaves(out[n, plane], perm, gradients, x, y, z + plane, octaves, persistence, feature_size)

    run_tasks(fill, len(seeds) * shape[0])
    return out


@compiled
def _add_octaves(
    out: Floats,
    perm: Integers,
    gradients: Integers,
    x: float,
    y: float,
    z: float,
    octaves: int,
    persistence: float,
    feature_size: float,
) -> None:
    """Add all octaves to a plane whose first voxel is at (x, y, z), in voxels."""
    amplitude, size = 1.0, feature_size
    for _ in range(octaves):
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                at = (x + j) / size, (y + i) / size, z / size
                out[i, j] += amplitude * noise3(at[0], at[1], at[2], perm, gradients)
        amplitude *= persistence
        size /= 2
