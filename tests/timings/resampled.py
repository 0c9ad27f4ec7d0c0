"""What slices without a suspicious pixel cost the ``resampled`` sampler.

Run by hand: python -m tests.timings.resampled [threads] [repeats]

Eight slices of 104 x 88 of which six have nothing to re-sample, against the other two alone. The six should
cost the coarse pass, here one evaluation each, and nothing more: 206 evaluations against 200, 1.03 x.
The published loop re-samples all eight. Rows are timed in turns, and the medians count.
"""

import sys
from statistics import median
from time import perf_counter

import torch

from diffad.denoise import NetworkDenoiser
from diffad.models.unet2d import UNet2D
from diffad.noise.gaussian import GaussianNoise
from diffad.samplers.resampled import Resampled
from tests.helpers.toys import linear_schedule

COARSE = {"name": "oneshot", "levels": 200}


def seconds(region, x, denoiser):
    """Time one run, in seconds; return its cost an item too."""
    rng = [torch.Generator().manual_seed(i) for i in range(len(x))]
    sampler = Resampled(COARSE, level=50, repeats=2).restricted_to(region)
    start = perf_counter()
    found = sampler(x, denoiser, GaussianNoise(), generator=rng)
    return perf_counter() - start, found.nfe


def main():
    threads, repeats = (int(a) for a in (sys.argv[1:] + ["1", "3"][len(sys.argv) - 1 :])[:2])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    denoiser = NetworkDenoiser(UNet2D(channels=[32, 64, 96], patch=2).eval(), linear_schedule())
    x = 2 * torch.rand(8, 1, 104, 88, generator=torch.Generator().manual_seed(0)) - 1
    box = torch.zeros_like(x)
    box[..., 40:56, 30:50] = 1
    some = box.clone()
    some[2:] = 0
    rows = {
        "2 slices, both re-sampled": (box[:2], x[:2]),
        "8 slices, 6 of them empty": (some, x),
        "8 slices, all re-sampled": (box, x),
    }
    seconds(box[:1], x[:1], denoiser)
    turns = [{name: seconds(*row, denoiser) for name, row in rows.items()} for _ in range(repeats)]
    base = next(iter(rows))
    for name in rows:
        wall = median(turn[name][0] for turn in turns)
        ratio = median(turn[name][0] / turn[base][0] for turn in turns)
        print(
            f"{name:26} {wall:6.2f} s, {ratio:4.2f} x, {turns[0][name][1]} evaluations of the dearest slice"
        )


if __name__ == "__main__":
    main()
