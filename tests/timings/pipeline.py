"""Wall time of ``pipe(...)`` as a multiple of its network evaluations; what narrow types and layouts gain.

Run by hand: ``python tests/timings/pipeline.py [threads] [repeats]``. The bare network is timed on a batch
of the same shape and type, in turns with the pipeline, and the median of the repeats counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from diffusers import DDPMScheduler

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.models.unet2d import UNet2D
from diffad.pipeline import PRECISIONS

SAMPLERS = {
    "oneshot": {"name": "oneshot", "levels": [100], "repeats": 4},
    "chain": {"name": "chain", "level": 100, "steps": 10},
}
BATCH, SIZE = 16, 128


def build() -> AnomalyPipeline:
    """The network of the shipped recipe, on whole slices; its weights do not matter for time."""
    config = load("ixi_t1_axial")
    options = {k: v for k, v in config.model.items() if k != "name"}
    torch.manual_seed(0)
    space = {"size": SIZE, "high": 99.0}
    pipe = AnomalyPipeline(
        UNet2D(**options), DDPMScheduler(clip_sample=False), noise=config.noise, space=space
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def scans() -> torch.Tensor:
    """A batch of discs with texture."""
    axis = torch.linspace(-1, 1, SIZE)
    disc = (axis[:, None] ** 2 + axis[None] ** 2 < 0.7).float()
    noise = torch.rand(BATCH, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return disc * (0.3 + 0.4 * noise)


def seconds(call: Callable[[], Any]) -> float:
    """Time one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@torch.no_grad()
def bare(network: Any, x: torch.Tensor, precision: str) -> None:
    """Evaluate the network alone."""
    dtype = PRECISIONS[precision]
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        network(x, torch.full((len(x),), 99))


def ratio(pipe: AnomalyPipeline, name: str, precision: str, repeats: int) -> tuple[float, float]:
    """Return the seconds of ``pipe(...)`` and their ratio to NFE times the bare network on a batch."""
    x, state = scans(), torch.randn(BATCH, 1, SIZE, SIZE)
    options: dict[str, Any] = {"sampler": SAMPLERS[name], "precision": precision, "batch_size": BATCH}
    nfe = pipe(x, **options).info["nfe"]
    bare(pipe.network, state, precision)
    whole, shares = [], []
    for _ in range(repeats):
        before = [seconds(lambda: bare(pipe.network, state, precision)) for _ in range(nfe // 2)]
        whole.append(seconds(lambda: pipe(x, **options)))
        after = [seconds(lambda: bare(pipe.network, state, precision)) for _ in range(nfe - nfe // 2)]
        shares.append(whole[-1] / sum(before + after))
    return median(whole), median(shares)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    torch.set_flush_denormal(True)
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    pipe = build()
    print(f"{BATCH} slices of {SIZE} x {SIZE}, {torch.get_num_threads()} threads, median of {repeats}")
    for layout in (torch.contiguous_format, torch.channels_last):
        pipe.network.to(memory_format=layout)
        for precision in ("fp32", "bf16"):
            for name in SAMPLERS:
                took, share = ratio(pipe, name, precision, repeats)
                print(f"{str(layout)[6:]:18} {precision} {name:8} {took:6.2f} s  {share:.3f} x NFE x network")


if __name__ == "__main__":
    main()
