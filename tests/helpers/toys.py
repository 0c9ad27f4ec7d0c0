"""Denoisers, networks and noises whose right answer is known in closed form."""

from dataclasses import dataclass, field

import torch
from torch import nn

from diffad.denoise import DenoiserWrapper
from diffad.schedule import Schedule
from diffad.types import StepRecord, generators_for


def linear_schedule(num_levels=1000):
    """The linear schedule of DDPM, scaled so that level T is as noisy for any T."""
    scale = 1000 / num_levels
    betas = torch.linspace(1e-4 * scale, 0.02 * scale, num_levels, dtype=torch.float64)
    return Schedule((1 - betas).cumprod(0))


def white_noise(like, t=None, *, generator):
    """Unit white noise, item by item."""
    generators = generators_for(generator, like.shape[0])
    return torch.stack(
        [torch.empty_like(item).normal_(generator=g) for item, g in zip(like, generators, strict=True)]
    )


@dataclass
class CountingNoise:
    """White noise that remembers the levels it was asked for."""

    levels: list[int] = field(default_factory=list)

    def __call__(self, like, t=None, *, generator):
        self.levels.append(int(t))
        return white_noise(like, t, generator=generator)


@dataclass(frozen=True)
class ColouredNoise:
    """Stationary Gaussian noise with the given power at each frequency, (*S)."""

    power: torch.Tensor

    def __call__(self, like, t=None, *, generator):
        return filtered(white_noise(like, t, generator=generator), self.power.sqrt())


def smooth_power(*shape, width=4.0):
    """Power of unit-variance noise that is correlated over ``width`` voxels, plus a white floor."""
    axes = torch.meshgrid(*(torch.fft.fftfreq(n) for n in shape), indexing="ij")
    power = torch.exp(-sum(f**2 for f in axes) * (2 * torch.pi * width) ** 2 / 2) + 1e-3
    return power / power.mean()


def filtered(x, gain):
    """Multiply the frequencies of ``x`` (B, C, *S) by ``gain`` (*S)."""
    dims = tuple(range(2, x.ndim))
    return torch.fft.ifftn(torch.fft.fftn(x, dim=dims) * gain.to(x.dtype), dim=dims).real


class Toy:
    """A denoiser that counts its calls and the levels it saw."""

    def __init__(self, schedule=None):
        self.schedule = schedule or linear_schedule()
        self.calls = 0
        self.items = 0
        self.levels = []

    def __call__(self, x_t, t, **cond):
        self.calls += 1
        self.items += x_t.shape[0]
        self.levels += t.expand(x_t.shape[0]).tolist()
        return self.estimate(x_t, t)


class GaussianDenoiser(Toy):
    r"""E[x_0 | x_t] for data N(0, s^2 Sigma) and noise N(0, Sigma): a number, whatever Sigma.

    alpha s^2 / (alpha^2 s^2 + sigma^2) x_t
    """

    def __init__(self, std=0.5, schedule=None):
        super().__init__(schedule)
        self.std = std

    def estimate(self, x_t, t):
        alpha, sigma = self.schedule.amplitudes(t, x_t)
        return alpha * self.std**2 / (alpha**2 * self.std**2 + sigma**2) * x_t


class MarkingDenoiser(DenoiserWrapper):
    """Marks every voxel of a state as noised, beside what the denoiser inside says of it."""

    def estimate(self, x_t, t, **cond):
        x_hat = self.inner(x_t, t, **cond)
        return x_hat, torch.ones_like(x_hat[:, :1])


class WienerDenoiser(Toy):
    r"""E[x_0 | x_t] for stationary Gaussian data of ``power`` (*S) in white noise: a Wiener filter."""

    def __init__(self, power, schedule=None):
        super().__init__(schedule)
        self.power = power

    def estimate(self, x_t, t):
        abar = self.schedule.alpha_bar(int(t))
        return filtered(x_t, abar.sqrt() * self.power / (abar * self.power + 1 - abar))


class ConstantDenoiser(Toy):
    """Knows the clean image, whatever it is shown."""

    def __init__(self, x, schedule=None):
        super().__init__(schedule)
        self.x = x

    def estimate(self, x_t, t):
        return self.x.repeat(x_t.shape[0] // self.x.shape[0], *(1 for _ in x_t.shape[1:]))


class IdentityDenoiser(Toy):
    """Takes the noisy image, brought back to the scale of the clean one, for the clean one."""

    def estimate(self, x_t, t):
        return x_t / self.schedule.amplitudes(t, x_t)[0]


class KnownNetwork(nn.Module):
    """A network that predicts what its ``answer`` says about the clean image, by its label alone."""

    def __init__(self, denoiser, prediction="epsilon", wrap=lambda out: out):
        super().__init__()
        self.denoiser, self.prediction, self.wrap = denoiser, prediction, wrap
        self.labels = []

    def forward(self, x_t, labels):
        self.labels.append(labels)
        x_hat = self.denoiser(x_t, labels + 1)
        alpha, sigma = self.denoiser.schedule.amplitudes(labels + 1, x_t)
        epsilon = (x_t - alpha * x_hat) / sigma
        answers = {"epsilon": epsilon, "sample": x_hat, "v_prediction": alpha * epsilon - sigma * x_hat}
        answers["flow"] = epsilon - x_hat
        return self.wrap(answers[self.prediction])


def recorder():
    """A list, and the function that fills it with the records of a sampler."""
    records: list[StepRecord] = []
    return records, records.append
