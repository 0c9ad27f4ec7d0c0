"""Time the painting of synthetic slices, and a training step of a network beside it.

Run by hand: OMP_NUM_THREADS=1 python tests/timings/synthesis.py MAPS [--pattern '**/*_dseg.nii.gz'] [--step]
"""

from __future__ import annotations

import argparse
import time

import torch

from diffad.config import SpaceConfig
from diffad.data.synthetic import LabelMaps
from diffad.models.unet2d import UNet2D
from diffad.types import generator_for

SPACE = SpaceConfig(size=128, fov=224.0, window=(112, 96))
BATCH = 16


def time_items(data: LabelMaps, count: int) -> float:
    """Return the milliseconds of the processor for one item."""
    data.draw(0, generator_for(0))
    start = time.process_time()
    for g in range(count):
        data.draw(g * 7 % len(data), generator_for(1, g))
    return 1000 * (time.process_time() - start) / count


def time_step(repeats: int = 3) -> float:
    """Return the milliseconds of the processor for a training step of the shipped network."""
    network = UNet2D(channels=[64, 96, 128], layers=2, patch=2)
    x, t = torch.randn(BATCH, 1, *SPACE.window), torch.full((BATCH,), 100)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        network(x, t).sample.square().mean().backward()
        seconds.append(time.process_time() - start)
    return 1000 * min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps")
    parser.add_argument("--pattern", default="**/*")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--step", action="store_true", help="time a training step, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    data = LabelMaps(args.maps, space=SPACE, pattern=args.pattern, limit=5, shares={"train": 1.0})
    print(f"reading: {(time.process_time() - start) / len(data.scans):.2f} s a label map")
    item = time_items(data, args.count)
    print(f"painting: {item:.1f} ms an item, {BATCH * item:.0f} ms a batch of {BATCH}")
    if args.step:
        step = time_step()
        print(f"training: {step:.0f} ms a step of {BATCH}; painting is {BATCH * item / step:.1%} of it")


if __name__ == "__main__":
    main()
