"""Time and memory of networks on slices of 128 x 128 pixels: ``python tests/timings/networks.py [PATCH]``.

Prints for each network, in a process of its own with one thread: weights, seconds of the processor for an
evaluation of one slice and for a training step of ``BATCH`` slices in single precision (the median of
``ROUNDS``, after one to warm up), and the peak of the process above that before the network was built.
"""

import os
import statistics
import subprocess
import sys
import time

BATCH, ROUNDS, SIDE = 4, 3, 128
WIDE = {"width": 256, "heads": 8}


def list_networks(patch: int) -> dict[str, dict[str, object]]:
    """The transformers at one width, and the U-Net of the other configs."""
    tokens = {"patch": patch, "grid": SIDE // patch, **WIDE}
    return {
        "dtunet": {**tokens, "depth": 6},
        "uvit": {**tokens, "depth": 12},
        "dit": {**tokens, "depth": 12},
        "unet2d": {"channels": [64, 96, 128], "layers": 2, "patch": 2},
    }


def measure(name: str, patch: int) -> str:
    """Return the line of a network."""
    import resource

    import torch

    from diffad.registry import MODELS

    MODELS["unet2d"]
    torch.manual_seed(0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = MODELS.build(name, **list_networks(patch)[name])
    optimiser = torch.optim.AdamW(network.parameters())
    x, labels = torch.randn(BATCH, 1, SIDE, SIDE), torch.full((BATCH,), 100)

    def evaluate() -> None:
        with torch.no_grad():
            network(x[:1], labels[:1])

    def step() -> None:
        optimiser.zero_grad()
        network(x, labels).square().mean().backward()
        optimiser.step()

    seconds = [_time(work) for work in (evaluate, step)]
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    weights = sum(p.numel() for p in network.parameters()) / 1e6
    return f"{name} {weights:.1f} M | {seconds[0]:.2f} s | {seconds[1]:.2f} s | {peak:.0f} MB"


def _time(work) -> float:
    rounds = []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        work()
        rounds.append(time.process_time() - start)
    return statistics.median(rounds[1:])


def main(patch: int) -> None:
    """Print a line for each network."""
    for name in list_networks(patch):
        words = [sys.executable, __file__, str(patch), name]
        subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(measure(sys.argv[2], int(sys.argv[1])), flush=True)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
