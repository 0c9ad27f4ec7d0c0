"""Wall time of the ``patched`` sampler against the loop over boxes it replaces, factor by factor.

Run by hand: ``python tests/timings/patched.py [threads] [repeats] [widths]``, as in ``1 3 32,64,64``. One
volume of 50 slices of 96 x 96 (the MNI152 template at 2 mm, which nilearn ships), 2 x 2 boxes of 48, fp32.
The loop is that of pDDPM as published: for one box after the other the whole volume goes through the network
in one batch, and the boxes are copied slice by slice. All sides see the same noise; drawing it counts on our
side alone. Rows are timed in turns, and the medians count; CPU seconds heed other programs less.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.denoise import NetworkDenoiser
from diffad.models.chunked import Chunked
from diffad.models.unet2d import UNet2D
from diffad.noise.simplex import SimplexNoise
from diffad.samplers.boxes import list_boxes, mark_boxes
from diffad.samplers.patched import Patched
from diffad.schedule import Schedule

SIZE, SLICES, BOX, LEVEL = 96, 50, 48, 500
GENERATORS = range(SLICES)
LOOP = "loop over boxes, 50 in one evaluation"


def brain() -> tuple[Tensor, Tensor]:
    """The middle 100 mm of the template in [-1, 1], (50, 1, 96, 96), and its mask."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    mask = load_mni152_brain_mask(resolution=2).get_fdata() > 0
    image = load_mni152_template(resolution=2).get_fdata() * mask
    middle = [(int(i.min()) + int(i.max()) + 1) // 2 for i in np.nonzero(mask)]
    box = tuple(slice(m - n // 2, m - n // 2 + n) for m, n in zip(middle, (SIZE, SIZE, SLICES), strict=True))
    margins = [(SIZE, SIZE)] * 3
    shifted = tuple(slice(s.start + SIZE, s.stop + SIZE) for s in box)
    x, m = (torch.from_numpy(np.pad(v, margins)[shifted]).float() for v in (image / image.max(), mask))
    return x.moveaxis(2, 0)[:, None] * 2 - 1, m.moveaxis(2, 0)[:, None]


def schedule() -> Schedule:
    """The cosine schedule of the paper."""
    from diffusers import DDPMScheduler

    return Schedule.from_diffusers(DDPMScheduler(beta_schedule="squaredcos_cap_v2"))


@torch.no_grad()
def loop(network: UNet2D, x: Tensor, z: Tensor, levels: Schedule) -> Tensor:
    """Restore box after box as published."""
    x_t, twin = levels.add_noise(x, z, LEVEL), torch.zeros_like(x)
    for rows, columns in list_boxes((SIZE, SIZE), (BOX, BOX)):
        shown = x.clone()
        shown[..., rows, columns] = x_t[..., rows, columns]
        answer = network(shown, torch.full((len(x),), LEVEL - 1)).clamp(-1, 1)
        for i in range(len(x)):
            twin[i, :, rows, columns] = answer[i, :, rows, columns]
    return twin


def ours(network: UNet2D, size: int, x: Tensor, mask: Tensor | None, levels: Schedule) -> Tensor:
    """Restore with the sampler, at most ``size`` images in one evaluation."""
    denoiser = NetworkDenoiser(Chunked(network, size), levels, "sample")
    rng = [torch.Generator().manual_seed(s) for s in GENERATORS]
    return Patched(BOX)(x, denoiser, SimplexNoise(), generator=rng, mask=mask).image


@torch.no_grad()
def bare(network: UNet2D, size: int, x: Tensor) -> None:
    """Evaluate the network on as many images as there are (slice, box) pairs, and nothing else."""
    states = x.repeat(4, 1, 1, 1)
    for start in range(0, len(states), size):
        part = states[start : start + size]
        network(part, torch.full((len(part),), LEVEL - 1))


def narrow(call: Callable[[], Tensor]) -> Tensor:
    """Run in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        return call().float()


def clocked(call: Callable[[], Tensor | None]) -> tuple[float, float, Tensor | None]:
    """Return wall seconds, CPU seconds and the answer."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = call()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def print_empty(mask: Tensor) -> None:
    """Print how many (slice, box) pairs hold no brain, and how many are left out in batches of 16 slices."""
    for p in (48, 32, 24, 16, 12):
        marks = mark_boxes(list_boxes((SIZE, SIZE), (p, p)), (SIZE, SIZE))
        empty = ~(mask[None, :, 0].bool() & marks).flatten(2).any(2)
        batches = [empty[:, i : i + 16].all(1).sum() * 16 for i in range(0, 48, 16)]
        left_out = float(sum(batches)) / empty[:, :48].numel()
        share = float(empty.float().mean())
        print(
            f"boxes of {p:2}: {share:5.1%} hold no brain, {left_out:5.1%} are left out, 16 slices at a time"
        )


def gain(turns: list[dict[str, Any]], name: str, clock: int) -> float:
    """Return how many times faster than the loop a row is, by one of the clocks."""
    return median(turn[LOOP][clock] / turn[name][clock] for turn in turns)


def rows_of(widths: list[int], x: Tensor, mask: Tensor, levels: Schedule) -> dict[str, Callable[[], Any]]:
    """List what is timed."""
    torch.manual_seed(0)
    network = UNet2D(channels=widths, layers=1).eval()
    flat = copy.deepcopy(network).to(memory_format=torch.channels_last)
    rng = [torch.Generator().manual_seed(s) for s in GENERATORS]
    z = SimplexNoise()(x, torch.tensor(LEVEL), generator=rng)
    return {
        LOOP: lambda: loop(network, x, z, levels),
        "patched, 200 in one evaluation": lambda: ours(network, 200, x, mask, levels),
        "patched, at most 16": lambda: ours(network, 16, x, mask, levels),
        "patched, at most 8": lambda: ours(network, 8, x, mask, levels),
        "patched, at most 8, channels last": lambda: ours(flat, 8, x, mask, levels),
        "patched, at most 8, bf16": lambda: narrow(lambda: ours(network, 8, x, mask, levels)),
        "network alone, 50 in one evaluation": lambda: bare(network, 50, x),
        "network alone, at most 8": lambda: bare(network, 8, x),
        "noise alone, 50 fields": lambda: SimplexNoise()(x, torch.tensor(LEVEL), generator=rng) * 0,
    }


def main() -> None:
    """Print the tables."""
    threads, repeats = (int(a) for a in (*sys.argv[1:3], "1", "3")[:2])
    widths = [int(n) for n in (sys.argv[3] if len(sys.argv) > 3 else "32,64,64").split(",")]
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    (x, mask), levels = brain(), schedule()
    rows = rows_of(widths, x, mask, levels)
    print(f"{SLICES} slices of {SIZE} x {SIZE}, widths {widths}, {threads} threads, median of {repeats}")
    print_empty(mask)
    turns = [{name: clocked(call) for name, call in rows.items()} for _ in range(repeats)]
    reference = turns[0][LOOP][2]
    for name in rows:
        wall, cpu = (median(turn[name][clock] for turn in turns) for clock in (0, 1))
        gains = f"{gain(turns, name, 0):5.2f} x wall {gain(turns, name, 1):5.2f} x CPU"
        line = f"{name:38} {wall:6.2f} s wall {cpu:6.2f} s CPU  {gains}"
        if name.startswith("patched"):
            apart = float(((turns[0][name][2] - reference) * mask).abs().max())
            line += f"  {apart:.1e} apart inside the brain"
        print(line)


if __name__ == "__main__":
    main()
