"""Time simplex noise against the published way of making it, a loop over items on one thread.

Run by hand: python tests/benchmarks/noise.py [--threads 2] [--repeats 7]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numba
import numpy as np
import torch
from opensimplex.internals import _init, _noise3

from diffad.noise.simplex import SimplexNoise

BATCH, OCTAVES, PERSISTENCE, FEATURE_SIZE = 16, 6, 0.8, 64.0


@numba.njit
def one_field(out, perm, gradients, x, y, z):
    """Sum the octaves of opensimplex's own function, voxel after voxel."""
    amplitude, size = 1.0, FEATURE_SIZE
    for _ in range(OCTAVES):
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] += amplitude * _noise3((x + j) / size, (y + i) / size, z / size, perm, gradients)
        amplitude *= PERSISTENCE
        size /= 2


def item_by_item(size, seeds, origins):
    """Make a batch of fields one after the other on one thread."""
    out = np.zeros((len(seeds), size, size))
    for field, seed, origin in zip(out, seeds, origins, strict=True):
        one_field(field, *_init(seed), *origin)
    return out


def timed(work):
    """Run ``work`` and return its wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def compare(size, threads, repeats):
    """Time both ways in turn and print medians and ratios for one image size."""
    rng = np.random.default_rng(0)
    seeds, origins = rng.integers(0, 10**10, BATCH).tolist(), rng.uniform(0, 98304, (BATCH, 3))
    like, generator = torch.zeros(BATCH, 1, size, size), torch.Generator().manual_seed(0)
    fast, exact = SimplexNoise(), SimplexNoise(reference=True)
    ways = {
        "loop": (1, lambda: item_by_item(size, seeds, origins)),
        "default, 1 thread": (1, lambda: fast(like, generator=generator)),
        f"default, {threads} threads": (threads, lambda: fast(like, generator=generator)),
        f"reference=True, {threads} threads": (threads, lambda: exact(like, generator=generator)),
    }
    times = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, (count, work) in ways.items():
            torch.set_num_threads(count)
            took = timed(work)
            if turn:
                times[name].append(took)
    base = [statistics.median(column) for column in zip(*times["loop"], strict=True)]
    for name, rows in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        ratios = f"{base[0] / wall:5.2f} x wall, {base[1] / cpu:5.2f} x CPU"
        print(f"{BATCH} x {size}^2  {name:26} {wall:8.1f} ms wall {cpu:8.1f} ms CPU   {ratios}")


def main():
    """Compare both ways at three sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    for size in (256, 128, 96):
        compare(size, options.threads, options.repeats)


if __name__ == "__main__":
    main()
