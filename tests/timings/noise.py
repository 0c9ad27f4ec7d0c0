"""Time every noise against the published way of making simplex noise, a loop over items on one thread.

Run by hand: python tests/timings/noise.py [--threads 2] [--repeats 7]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numba
import numpy as np
import torch
from opensimplex.internals import _init, _noise3

from diffad.models.unet2d import UNet2D
from diffad.registry import NOISES

BATCH, OCTAVES, PERSISTENCE, FEATURE_SIZE = 16, 6, 0.8, 64.0

SIMPLEX = {
    "simplex": {},
    "simplex, reference": {"reference": True},
    "simplex, dims 2": {"dims": 2},
    "simplex, dims 4": {"dims": 4},
}


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


def noises():
    """Build every registered noise, simplex in its variants."""
    built = {name: NOISES.build("simplex", **options) for name, options in SIMPLEX.items()}
    return built | {name: NOISES.build(name) for name in NOISES if name != "simplex"}


def ways(size, threads):
    """List the ways to make a batch of one size, with the threads each may use."""
    rng = np.random.default_rng(0)
    seeds, origins = rng.integers(0, 10**10, BATCH).tolist(), rng.uniform(0, 98304, (BATCH, 3))
    like = torch.zeros(BATCH, 1, size, size)
    generator = [torch.Generator().manual_seed(i) for i in range(BATCH)]  # one an item, as in training
    yield "loop", 1, lambda: item_by_item(size, seeds, origins)
    for name, noise in noises().items():
        for count in sorted({1, threads}):
            yield name, count, lambda noise=noise: noise(like, torch.tensor(100), generator=generator)


def training_step(size):
    """Make one step in bf16 of the smaller network of docs/methods/comparison.md: forward, back, update."""
    network = UNet2D(channels=(32, 64, 96), patch=2)
    optimizer, x = torch.optim.AdamW(network.parameters()), torch.randn(BATCH, 1, size, size)

    def work():
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(x, torch.full((BATCH,), 100)).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return work


def compare(size, threads, repeats, step=False):
    """Time all ways in turn and print medians, and the ratio of the loop to each, for one image size."""
    rows = [(name, count, work, []) for name, count, work in ways(size, threads)]
    if step:
        rows.append(("a training step", threads, training_step(size), []))
    for turn in range(repeats + 1):
        for _, count, work, times in rows:
            torch.set_num_threads(count)
            took = timed(work)
            if turn:
                times.append(took)
    base = [statistics.median(column) for column in zip(*rows[0][-1], strict=True)]
    for name, count, _, times in rows:
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = f"{base[0] / wall:6.1f} x wall {base[1] / cpu:6.1f} x CPU"
        head = f"{BATCH} x {size}^2  {name:18} {count} thread{'s' * (count > 1):1}"
        share = (
            f"  {100 * wall / step_ms:5.2f} % of a step"
            if (step_ms := last(rows)) and count == threads
            else ""
        )
        print(f"{head} {wall:8.1f} ms wall {cpu:8.1f} ms CPU {ratios}{share}")


def last(rows):
    """Return the median wall time of a training step, where one was timed."""
    return statistics.median(t[0] for t in rows[-1][-1]) if rows[-1][0] == "a training step" else None


def main():
    """Compare all ways at three sizes; the first turn, in which the bank is drawn, does not count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    for size in (256, 128, 96):
        compare(size, options.threads, options.repeats, step=size == 128)


if __name__ == "__main__":
    main()
