"""Time of guided inversion in batches, against one image after the other as it was published.

Run by hand: ``python tests/timings/guidance.py [threads] [slices]``. Both ways go up unguided and come
back guided by a classifier, with the same networks and levels; weights do not matter for time. Ours has
batches of 8, and the denoiser in bfloat16 where the processor computes in it; the classifier stays in single
precision. Several scales share one way up, which the published way repeats. Run it on an idle machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from diffad.denoise import NetworkDenoiser
from diffad.inference.precision import PRECISIONS, resolve_precision
from diffad.models.classifier import Classifier
from diffad.models.unet2d import UNet2D
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES
from diffad.samplers.base import levels_down
from diffad.samplers.inversion import Inversion
from diffad.schedule import Schedule

SIDES, LEVEL, STEPS, BATCH, SCALES = (104, 88), 200, 10, 8, (10.0, 3.0, 30.0)
SMALL = {"channels": (32, 64, 96), "patch": 2}


def schedule() -> Schedule:
    """The linear schedule of DDPM."""
    return Schedule.linear()


def networks() -> tuple[UNet2D, Classifier]:
    """A small denoiser and the classifier as it is, with a gradient although nothing was learned."""
    torch.manual_seed(0)
    judge = Classifier(**SMALL, layers=1, attention=False, pool="max")  # as in configs/classifier.yaml
    return UNet2D(**SMALL).eval(), judge.eval().requires_grad_(False)


def ours(x: Tensor, denoisers: Sequence[Denoiser], dtype: torch.dtype | None) -> list[Tensor]:
    """Go up once and back by each of ``denoisers``, all of ``x`` (B, C, *S) at once."""
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        return [found.image for found in Inversion(LEVEL, STEPS).sweep(x, denoisers[0], denoisers)]


def published(x: Tensor, network: UNet2D, classifier: Classifier, table: Schedule, scale: float) -> Tensor:
    """Go up and back with one image (1, C, *S) in single precision, eps changed by the gradient."""
    down = levels_down(LEVEL, STEPS)
    for s, t in pairwise(down[::-1]):
        x = turned(x, epsilon_of(network, x, t), s, t, table)
    for t, s in pairwise(down):
        state = x.detach().requires_grad_()
        chosen = classifier(state, torch.full((1,), t - 1)).log_softmax(1)[:, 0].sum()
        (gradient,) = torch.autograd.grad(chosen, state)
        sigma = table.amplitudes(t, x)[1]
        x = turned(x, epsilon_of(network, x, t) - scale * sigma * gradient, t, s, table)
    return x


@torch.no_grad()
def epsilon_of(network: UNet2D, x: Tensor, t: int) -> Tensor:
    """Ask the network for the noise."""
    return network(x, torch.full((1,), t - 1))


def turned(x: Tensor, epsilon: Tensor, t: int, s: int, table: Schedule) -> Tensor:
    """Move a state from level ``t`` to ``s`` along its noise."""
    alpha, sigma = table.amplitudes(t, x)
    return table.add_noise((x - sigma * epsilon) / alpha, epsilon, s)


def seconds(call: Callable[[], object], repeats: int = 2) -> float:
    """Return the seconds of the fastest of some calls."""
    spans = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        spans.append(time.perf_counter() - began)
    return min(spans)


def main() -> None:
    """Print seconds a slice of both ways and their ratio, and how far apart they are in single precision."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    torch.set_flush_denormal(True)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    (network, classifier), table = networks(), schedule()
    bare = NetworkDenoiser(network, table, clip=False)
    guided = [GUIDANCES.build("classifier", scale=s, classifier=classifier)(bare) for s in SCALES]
    x = torch.randn(count, 1, *SIDES, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    threads = torch.get_num_threads()
    print(f"slices of {SIDES[0]} x {SIDES[1]}, level {LEVEL}, {STEPS} steps, {threads} thread(s)")
    theirs = published(x[:1], network, classifier, table, SCALES[0])
    apart = (ours(x[:1], guided[:1], None)[0] - theirs).abs().max()
    print(f"largest difference of both ways in fp32: {apart:.1e}")
    few = x[: max(1, count // 4)].split(1)  # one by one, each costs the same
    slow = seconds(lambda: [published(one, network, classifier, table, SCALES[0]) for one in few]) / len(few)
    print(f"published, one by one, fp32: {slow:.3f} s a slice and scale")
    for name in dict.fromkeys(["fp32", resolve_precision("auto", torch.device("cpu"))]):
        for many in (guided[:1], guided):
            dtype, parts = PRECISIONS[name], x.split(BATCH)
            fast = seconds(lambda d=dtype, p=parts, g=many: [ours(part, g, d) for part in p])
            each = fast / count / len(many)
            told = f"ours, batches of {BATCH}, {name}, {len(many)} scale(s)"
            print(f"{told}: {each:.3f} s a slice and scale, {slow / each:.2f} times as fast")


if __name__ == "__main__":
    main()
