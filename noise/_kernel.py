"""The compiled sums behind simplex noise; imported on first use, because numba is slow to import."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from opensimplex.internals import _init, _noise3

_LOCK = threading.Lock()


def tables(seeds: Sequence[int]) -> NDArray[np.int64]:
    """Make the permutation and gradient tables of each seed, (N, 2, 256)."""
    return np.stack([np.stack(_init(seed)) for seed in seeds])


def exact_planes(
    perms: NDArray[np.int64],
    offsets: NDArray[np.float64],
    depths: NDArray[np.float64],
    shape: tuple[int, ...],
    octaves: int,
    persistence: float,
    feature_size: float,
) -> NDArray[np.float64]:
    """Sum octaves for N fields of Z planes each, (N, Z, H, W)."""
    with _LOCK:
        return _exact(perms, offsets, depths, shape[0], shape[1], octaves, persistence, feature_size)


@njit(parallel=True, cache=True)
def _exact(perms, offsets, depths, height, width, octaves, persistence, feature_size):  # type: ignore[no-untyped-def]
    count, planes = depths.shape
    out = np.zeros((count, planes, height, width))
    for task in prange(count * planes * height):
        y = task % height
        plane = task // height % planes
        n = task // height // planes
        row = out[n, plane, y]
        amplitude, f = 1.0, feature_size
        for _ in range(octaves):
            v = (y + offsets[n, 1]) / f
            w = (depths[n, plane] + offsets[n, 2]) / f
            for x in range(width):
                row[x] += amplitude * _noise3((x + offsets[n, 0]) / f, v, w, perms[n, 0], perms[n, 1])
            amplitude *= persistence
            f /= 2
    return out
