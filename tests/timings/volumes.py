"""What a training step of networks of whole volumes costs: measured on small codes, and in proportion.

``python -m tests.timings.volumes``; memory is that of what the backward pass keeps, in single precision.
"""

import time

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from diffad.config import load
from diffad.registry import MODELS

SIDES = (16, 24)
"""Sides of the codes that are measured."""
GRID = (182, 218, 182)
"""Voxels of MNI152 at 1 mm."""
FACTORS = {"wavelet3d": 2, "ldm3d": 4}


def measure_step(network, side):
    """Return cells, bytes kept, operations and seconds of one step."""
    x, kept = torch.randn(1, network.config.in_channels, side, side, side), [0]

    def keep(value):
        kept[0] += value.numel() * value.element_size()
        return value

    start = time.process_time()
    with saved_tensors_hooks(keep, lambda value: value), FlopCounterMode(display=False) as counter:
        network(x, torch.tensor([5])).square().mean().backward()
    return side**3, kept[0], counter.get_total_flops(), time.process_time() - start


def main():
    """Print what a step of each recipe would cost on a whole head."""
    for name, factor in FACTORS.items():
        network = MODELS.build(**load(name).model)
        small, large = (measure_step(network, side) for side in SIDES)
        slopes = [(b - a) / (large[0] - small[0]) for a, b in zip(small[1:], large[1:], strict=True)]
        cells = torch.tensor([-(-n // factor) for n in GRID]).prod().item()
        memory, operations, seconds = (cells * slope for slope in slopes)
        sizes = f"{memory / 1e9:.1f} GB, {operations / 1e12:.1f} TFLOP, {seconds:.0f} s on one core"
        print(f"{name}: estimated for {cells:,} cells, a step of one head takes {sizes}")


if __name__ == "__main__":
    main()
