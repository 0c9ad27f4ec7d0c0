"""Processor time of guided inversion in batches, against one image after the other as it was published.

Run by hand: ``python tests/benchmarks/guidance.py [threads] [slices]``. Both ways go up unguided and come
back guided by a classifier, with the same networks and levels; weights do not matter for time. Ours has
batches of 8, and the denoiser in bfloat16 where the processor computes in it; the classifier stays in single
precision. Time is that of the processor, summed over threads: a busy machine changes that of the clock more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from diffad.denoise import NetworkDenoiser, unguided
from diffad.models.classifier import Classifier
from diffad.models.unet2d import UNet2D
from diffad.precision import PRECISIONS, resolve
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES
from diffad.samplers.base import levels_down
from diffad.schedule import Schedule

SIDES, LEVEL, STEPS, BATCH, SCALE = (104, 88), 200, 10, 8, 10.0
SMALL = {"channels": (32, 64, 96), "patch": 2}


def schedule() -> Schedule:
    """The linear schedule of DDPM."""
    return Schedule((1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0))


def networks() -> tuple[UNet2D, Classifier]:
    """A small denoiser and the classifier as it is, with a gradient although nothing was learned."""
    torch.manual_seed(0)
    return UNet2D(**SMALL).eval(), Classifier(**SMALL).eval()


@torch.no_grad()
def ours(x: Tensor, denoiser: Denoiser, dtype: torch.dtype | None) -> Tensor:
    """Go up and back with what the package has, all of ``x`` (B, C, *S) at once."""
    down, free = levels_down(LEVEL, STEPS), unguided(denoiser)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        for s, t in pairwise(down[::-1]):
            x = moved(x, free(x, torch.tensor(t)), (t, s), t, denoiser.schedule)
        for t, s in pairwise(down):
            x = moved(x, denoiser(x, torch.tensor(t)), (t, t), s, denoiser.schedule)
    return x


def moved(x: Tensor, x_hat: Tensor, asked: tuple[int, int], to: int, table: Schedule) -> Tensor:
    """Move a state to a level by the noise in it, from the level asked about to the level it is at."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (table.amplitudes(level, x) for level in asked)
    epsilon = (x - alpha_t * x_hat) / sigma_t
    return table.add_noise((x - sigma_s * epsilon) / alpha_s, epsilon, to)


def published(x: Tensor, network: UNet2D, classifier: Classifier, table: Schedule) -> Tensor:
    """Go up and back with one image (1, C, *S) in single precision, eps changed by the gradient."""
    down = levels_down(LEVEL, STEPS)
    for s, t in pairwise(down[::-1]):
        x = turned(x, epsilon_of(network, x, t), s, t, table)
    for t, s in pairwise(down):
        state = x.detach().requires_grad_()
        chosen = classifier(state, torch.full((1,), t - 1)).log_softmax(1)[:, 0].sum()
        (gradient,) = torch.autograd.grad(chosen, state)
        sigma = table.amplitudes(t, x)[1]
        x = turned(x, epsilon_of(network, x, t) - SCALE * sigma * gradient, t, s, table)
    return x


@torch.no_grad()
def epsilon_of(network: UNet2D, x: Tensor, t: int) -> Tensor:
    """Ask the network for the noise."""
    return network(x, torch.full((1,), t - 1))


def turned(x: Tensor, epsilon: Tensor, t: int, s: int, table: Schedule) -> Tensor:
    """Move a state from level ``t`` to ``s`` along its noise."""
    alpha, sigma = table.amplitudes(t, x)
    return table.add_noise((x - sigma * epsilon) / alpha, epsilon, s)


def seconds(call: Callable[[], object]) -> float:
    """Return what one call costs of the processor."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Print seconds a slice of both ways and their ratio, and how far apart they are in single precision."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    torch.set_flush_denormal(True)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    (network, classifier), table = networks(), schedule()
    guidance = GUIDANCES.build("classifier", scale=SCALE, classifier=classifier)
    denoiser = guidance(NetworkDenoiser(network, table, clip=False))
    x = torch.randn(count, 1, *SIDES, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    print(
        f"slices of {SIDES[0]} x {SIDES[1]}, level {LEVEL}, {STEPS} steps, {torch.get_num_threads()} threads"
    )
    difference = ours(x[:1], denoiser, None) - published(x[:1], network, classifier, table)
    print(f"largest difference of both ways in fp32: {difference.abs().max():.1e}")
    few = x[: max(1, count // 4)].split(1)  # one by one, each costs the same
    slow = seconds(lambda: [published(one, network, classifier, table) for one in few]) / len(few)
    print(f"published, one by one, fp32: {slow:.3f} s a slice")
    for name in dict.fromkeys(["fp32", resolve("auto", torch.device("cpu"))]):
        dtype, parts = PRECISIONS[name], x.split(BATCH)
        fast = seconds(lambda d=dtype, p=parts: [ours(part, denoiser, d) for part in p]) / count
        print(f"ours, batches of {BATCH}, {name}: {fast:.3f} s a slice, {slow / fast:.2f} times as fast")


if __name__ == "__main__":
    main()
