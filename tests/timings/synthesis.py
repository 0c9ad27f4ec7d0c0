"""Time the painting of synthetic slices, and a training step of a network beside it.

Run by hand, without maps for the steps alone; variants are those of configs/brain_any.yaml:
OMP_NUM_THREADS=1 python -m tests.timings.synthesis [MAPS] [--pattern GLOB] [--step] [--variant NAME]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import torch

from diffad.config import Config, load
from diffad.data.synthetic import LabelMaps
from diffad.registry import MODELS
from diffad.types import generator_for

BATCH = 16


def time_items(data: LabelMaps, count: int) -> float:
    """Return the milliseconds of the processor for one item."""
    data.draw(0, generator_for(0))
    start = time.process_time()
    for g in range(count):
        data.draw(g * 7 % len(data), generator_for(1, g))
    return 1000 * (time.process_time() - start) / count


def time_step(network: Any, config: Config, precision: str, repeats: int = 3) -> float:
    """Return the milliseconds of the processor for a step of a network, averaged over the planes it sees."""
    network = network.to(memory_format=torch.channels_last)
    space, count = config.space, config.space.neighbours
    windows = [space.window, *space.further_windows]
    optimizer, totals = torch.optim.AdamW(network.parameters(), lr=1e-5), []
    for _ in range(repeats):
        start = time.process_time()
        for window in windows:
            x, t = torch.randn(BATCH, 1, *window), torch.full((BATCH,), 100)
            cond = {"neighbours": torch.randn(BATCH, 2 * count, *window)} if count else {}
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = network(x, t, **cond).float().square().mean()
            loss.backward()
            optimizer.step()
        totals.append((time.process_time() - start) / len(windows))
    return 1000 * min(totals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", nargs="?")
    parser.add_argument("--pattern", default="**/*")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--step", action="store_true", help="time a training step, too")
    parser.add_argument("--variant", action="append", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = load("brain_any", [f"variant={name}" for name in args.variant])
    item = None
    if args.maps:
        start = time.process_time()
        space = replace(config.space, further_axes=(), further_windows=())
        data = LabelMaps(args.maps, space=space, pattern=args.pattern, limit=5, shares={"train": 1.0})
        print(f"reading: {(time.process_time() - start) / len(data.scans):.2f} s a label map")
        item = time_items(data, args.count)
        print(f"painting: {item:.1f} ms an item, {BATCH * item:.0f} ms a batch of {BATCH}")
    if args.step or not args.maps:
        network = MODELS.build(**config.model)
        print(f"parameters: {sum(p.numel() for p in network.parameters()):,}")
        for precision in ("fp32", "bf16"):
            step = time_step(network, config, precision)
            share = "" if item is None else f"; painting is {BATCH * item / step:.1%} of it"
            print(f"training: {step:.0f} ms a step of {BATCH} in {precision}{share}")


if __name__ == "__main__":
    main()
