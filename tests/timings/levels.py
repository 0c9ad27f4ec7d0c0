"""What scoring over many levels costs: batches of levels, and the memory of the running sum.

Run by hand: python -m tests.timings.levels
"""

from time import perf_counter

import torch

from diffad.denoise import NetworkDenoiser
from diffad.models.unet2d import UNet2D
from diffad.noise.gaussian import GaussianNoise
from diffad.samplers.levels import Levels
from diffad.score.normative import Normative
from tests.helpers.toys import linear_schedule


def seconds(sampler, denoiser, x, score):
    """Time one run with its score, in seconds."""
    start = perf_counter()
    run = score.begin(x, denoiser.schedule) if score else None
    record = run.record if run else None
    found = sampler(x, denoiser, GaussianNoise(), generator=torch.Generator().manual_seed(0), on_step=record)
    if run:
        run.map(x, found)
    return perf_counter() - start


def main():
    x = 2 * torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0)) - 1
    network = UNet2D(in_channels=1, channels=[64, 96, 128], layers=2, patch=2).eval()
    denoiser = NetworkDenoiser(network, linear_schedule())
    seconds(Levels(stride=25), denoiser, x, None)
    for at_once in (1, 5, 25):
        times = [seconds(Levels(stride=5, at_once=at_once), denoiser, x, s) for s in (None, Normative())]
        print(f"25 levels, {at_once:2d} at once: {times[0]:.2f} s, with the score {times[1]:.2f} s")
    kept, summed = 125 * 4 * 155 * 128**2 * 4, 4 * 155 * 128**2 * 8
    print(
        f"a volume of 155 slices, 4 sequences: {kept / 1e9:.2f} GB of levels, {summed / 1e6:.0f} MB of sums"
    )


if __name__ == "__main__":
    main()
