"""Statistics of a noise: its spread, its correlation and its spectrum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange, reduce
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseStats:
    """Statistics of N fields of a noise.

    Args:
        mean: Mean of all pixels.
        std: Standard deviation of all pixels.
        slice_mean_std: Standard deviation of the means of the fields, which shows a drift of brightness.
        length: Lag in pixels at which the autocorrelation falls to 1/e; infinite if it does not.
        low: Lowest value.
        high: Highest value.
        correlation: Autocorrelation by lag, from lag 0.
        spectrum: Power by ring of frequencies, see ``power_spectrum``.
    """

    mean: float
    std: float
    slice_mean_std: float
    length: float
    low: float
    high: float
    correlation: Array
    spectrum: Array

    @classmethod
    def of(cls, z: Tensor) -> NoiseStats:
        """Measure fields (N, 1, H, W)."""
        correlation = autocorrelation(z)
        return cls(
            mean=float(z.mean()),
            std=float(z.std(correction=0)),
            slice_mean_std=float(reduce(z, "n c ... -> n c", "mean").std(correction=0)),
            length=correlation_length(correlation),
            low=float(z.min()),
            high=float(z.max()),
            correlation=correlation,
            spectrum=power_spectrum(z),
        )


@dataclass(frozen=True)
class NoiseSample:
    """Fields of one noise with their statistics.

    Args:
        name: Registered name.
        options: Options that are not the defaults.
        fields: Fields (N, 1, H, W).
        stats: Statistics of the fields.
        seconds: Median time to draw 16 fields.
    """

    name: str
    options: Mapping[str, Any]
    fields: Tensor
    stats: NoiseStats
    seconds: float

    @property
    def option_text(self) -> str:
        """The options in words."""
        return ", ".join(f"{key}={value}" for key, value in self.options.items())


def autocorrelation(z: Tensor, axes: Sequence[int] | None = None) -> Array:
    r"""Correlate fields with themselves along their axes, by lag up to half the shortest of these.

    .. math:: \rho(l) = \frac{\langle z(u) \, z(u + l) \rangle}{\langle z^2 \rangle}

    The mean of the noise is 0 by agreement, so a constant in a field counts as correlation.

    Args:
        z: Fields (N, C, *S).
        axes: Axes of ``z`` to average over; all spatial axes of more than one voxel by default.
    """
    z = z.double()
    axes = [a for a in range(2, z.ndim) if z.shape[a] > 1] if axes is None else list(axes)
    lags = range(min(z.shape[a] for a in axes) // 2 + 1)
    power = z.square().mean()
    return np.array([np.mean([float(_multiply_shifted(z, a, lag) / power) for a in axes]) for lag in lags])


def _multiply_shifted(z: Tensor, axis: int, lag: int) -> Tensor:
    size = z.shape[axis] - lag
    return (z.narrow(axis, 0, size) * z.narrow(axis, lag, size)).mean()


def correlation_length(correlation: Array) -> float:
    """Interpolate the lag at which an autocorrelation first falls to 1/e; infinite if it does not."""
    below = np.flatnonzero(correlation <= 1 / math.e)
    if not below.size:
        return math.inf
    lag = int(below[0])
    high, low = correlation[lag - 1], correlation[lag]
    return float(lag - 1 + (high - 1 / math.e) / (high - low))


def power_spectrum(z: Tensor) -> Array:
    r"""Average the power of fields over rings of equal frequency; white noise of variance 1 has power 1.

    .. math:: P(f) = \frac{\langle |\mathcal{F}\{h (z - \bar z)\}|^2 \rangle}{\sum_u h_u^2}

    A Hann window :math:`h` keeps the edges from leaking into high frequencies, and the mean :math:`\bar z` of
    each field under the window is left out.

    Args:
        z: Fields (N, C, H, W).

    Returns:
        Frequencies in cycles per pixel, from two periods an image to 1/2, and powers, (2, rings).
    """
    height, width = z.shape[-2:]
    window = torch.outer(
        *(torch.hann_window(n + 2, False, dtype=torch.float64)[1:-1] for n in (height, width))
    )
    mean = (z.double() * window).sum((-2, -1), keepdim=True) / window.sum()
    power = torch.fft.fft2((z.double() - mean) * window).abs().square() / window.square().sum()
    rings = min(height, width)
    down, right = torch.fft.fftfreq(height), torch.fft.fftfreq(width)
    ring = torch.hypot(rearrange(down, "h -> h 1"), right).mul(rings).round().long().flatten()
    total = torch.bincount(ring, reduce(power, "n c h w -> (h w)", "mean"))
    mean_power = total / torch.bincount(ring).clamp(min=1)
    indices = np.arange(2, rings // 2 + 1)  # the first ring lost power with the mean
    return np.stack([indices / rings, mean_power.numpy()[indices]])


def spectral_slope(spectrum: Array, low: float, high: float) -> float:
    """Fit the exponent of a power law to a spectrum between two frequencies, in cycles per pixel."""
    band: Any = (spectrum[0] >= low) & (spectrum[0] <= high)
    return float(np.polyfit(np.log(spectrum[0][band]), np.log(spectrum[1][band]), 1)[0])
