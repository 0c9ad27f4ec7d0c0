"""Share of the ``harmonised`` sampler's time that goes into maps, morphology and blends.

Run by hand: ``python tests/timings/harmonised.py [threads] [repeats]``. Eight images of 104 x 88, level
250 in 25 moves of DDIM, blends at four levels and maps at six, a 2-D network of widths 32, 64 and 96 that
folds patches of 2, fp32. The parts are timed alone, in turns with the network; the whole sampler is timed in
turns with the chain of the same moves. Medians of CPU seconds count, which heed other programs less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from diffad.denoise import NetworkDenoiser
from diffad.models.unet2d import UNet2D
from diffad.noise.gaussian import GaussianNoise
from diffad.registry import SCORES
from diffad.samplers.blend import Blend
from diffad.samplers.chain import Chain
from diffad.samplers.harmonised import SCORE, Harmonised
from diffad.samplers.morphology import close, dilate
from diffad.schedule import Schedule
from diffad.types import Reconstruction

SHAPE, LEVEL, STEPS, LEVELS = (8, 1, 104, 88), 250, 25, (200, 150, 100, 50)
MAPS, WIDTH = 6, 13


def schedule() -> Schedule:
    """The linear schedule of DDPM."""
    return Schedule((1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0))


def clocked(call: Callable[[], Any], times: int = 1) -> float:
    """Return CPU seconds of one call."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


@torch.no_grad()
def parts(network: UNet2D, levels: Schedule) -> dict[str, tuple[int, Callable[[], Any]]]:
    """List how often each part runs in a chain, and the part."""
    rng = torch.Generator().manual_seed(0)
    x, x_hat, z = (torch.rand(SHAPE, generator=rng) * 2 - 1 for _ in range(3))
    twin, labels = Reconstruction((x_hat + 1) / 2, 1), torch.full((len(x),), LEVEL - 1)
    score, l1 = SCORES.build(**SCORE), SCORES.build("l1")
    found = l1((x + 1) / 2, twin)
    blend = Blend(x, found, z)
    return {
        "network": (STEPS, torch.no_grad()(lambda: network(x, labels))),
        "map, default score": (MAPS, lambda: score((x + 1) / 2, twin)),
        "map, l1": (MAPS, lambda: l1((x + 1) / 2, twin)),
        "morphology": (len(LEVELS), lambda: dilate(close(found, WIDTH), WIDTH)),
        "blend": (len(LEVELS), lambda: blend(x, x_hat, 200, 190, levels, z)),
    }


def samplers(network: UNet2D, levels: Schedule) -> dict[str, Callable[[], Any]]:
    """List whole runs, with the records that a score of maps would ask for."""
    x = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    denoiser = NetworkDenoiser(network, levels)
    ways: dict[str, Chain | Harmonised] = {
        "chain": Chain(LEVEL, STEPS, "ddim"),
        "harmonised": Harmonised(LEVEL, STEPS, "ddim", harmonise=LEVELS),
        "harmonised, l1": Harmonised(LEVEL, STEPS, "ddim", harmonise=LEVELS, score={"name": "l1"}),
    }

    def call(way: Chain | Harmonised) -> Callable[[], Any]:
        rng = [torch.Generator().manual_seed(i) for i in range(len(x))]
        return lambda: way(x, denoiser, GaussianNoise(), generator=rng, on_step=lambda step: None)

    return {name: call(way) for name, way in ways.items()}


def print_parts(rows: dict[str, tuple[int, Callable[[], Any]]], repeats: int) -> None:
    """Print seconds of each part and its share of the network's."""
    turns = [
        {name: n * clocked(call, 1 if name == "network" else 5) for name, (n, call) in rows.items()}
        for _ in range(repeats)
    ]
    for name, (n, _) in rows.items():
        share = median(turn[name] / turn["network"] for turn in turns)
        spent = median(turn[name] for turn in turns)
        print(f"{name:20} {n:3} times {spent * 1e3:9.2f} ms  {share:7.2%} of the network")
    extra = ("map, default score", "morphology", "blend")
    total = median(sum(turn[name] for name in extra) / turn["network"] for turn in turns)
    print(f"maps with the default score, morphology and blends: {total:.2%} of the network")


def print_samplers(rows: dict[str, Callable[[], Any]], repeats: int) -> None:
    """Print seconds of whole runs against the chain."""
    turns = [{name: clocked(call) for name, call in rows.items()} for _ in range(repeats)]
    for name in rows:
        ratio = median(turn[name] / turn["chain"] for turn in turns)
        print(f"{name:20} {median(turn[name] for turn in turns):6.2f} s  {ratio:5.3f} x the chain")


def main() -> None:
    """Print both tables."""
    threads, repeats = (int(a) for a in (sys.argv[1:3] if len(sys.argv) > 2 else ("1", "7")))
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    network, levels = UNet2D(channels=[32, 64, 96], patch=2).eval(), schedule()
    print(
        f"{SHAPE[0]} images of {SHAPE[2]} x {SHAPE[3]}, {STEPS} moves, {threads} threads, median of {repeats}"
    )
    rows = parts(network, levels)
    for _, call in rows.values():
        call()
    print_parts(rows, repeats)
    print_samplers(samplers(network, levels), max(3, repeats // 2))


if __name__ == "__main__":
    main()
