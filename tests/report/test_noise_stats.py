"""Statistics of noise, against fields whose statistics are known."""

import math

import numpy as np
import pytest
import torch

from diffad.report.noise_stats import (
    NoiseStats,
    autocorrelation,
    correlation_length,
    power_spectrum,
    spectral_slope,
)


def white(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_numbers_of_known_fields():
    z = torch.tensor([[1.0, 3.0], [5.0, 7.0]])[:, None, :, None].expand(2, 1, 2, 4)
    stats = NoiseStats.of(z)
    assert (stats.mean, stats.low, stats.high) == (4, 1, 7)
    assert stats.std == pytest.approx(math.sqrt(5))
    assert stats.slice_mean_std == 2


def test_white_noise_is_uncorrelated_and_its_spectrum_flat():
    stats = NoiseStats.of(white(50, 1, 64, 48))
    assert len(stats.correlation) == 25
    assert np.abs(stats.correlation[1:]).max() < 0.02
    assert stats.length == pytest.approx(1 - 1 / math.e, abs=0.01)
    assert stats.spectrum[1] == pytest.approx(1, abs=0.12)


def test_correlation_of_a_moving_average_is_a_triangle():
    z = torch.nn.functional.avg_pool2d(white(60, 1, 71, 71), 8, stride=1)
    rho = autocorrelation(z)
    assert rho[:12] == pytest.approx(np.clip(1 - np.arange(12) / 8, 0, None), abs=0.05)
    assert correlation_length(rho) == pytest.approx(8 * (1 - 1 / math.e), abs=0.4)


def test_correlation_along_one_axis_looks_at_that_axis_only():
    z = white(20, 1, 1, 64).expand(20, 1, 64, 64)
    assert autocorrelation(z, [2])[5] == pytest.approx(1)
    assert abs(autocorrelation(z, [3])[5]) < 0.1


def test_constant_fields_never_lose_their_correlation():
    assert math.isinf(NoiseStats.of(white(9, 1, 1, 1).expand(9, 1, 16, 16)).length)


def test_constant_fields_have_no_power_at_any_frequency():
    assert power_spectrum(torch.full((2, 1, 16, 16), 3.0))[1].max() < 1e-12


def test_wave_has_its_power_at_its_frequency():
    wave = torch.sin(2 * math.pi * 0.125 * torch.arange(64)).expand(1, 1, 64, 64)
    frequency, power = power_spectrum(wave)
    assert frequency[power.argmax()] == 0.125
    assert power[frequency > 0.2].max() < 1e-3 * power.max()


def test_frequencies_are_cycles_per_pixel_for_any_shape():
    frequency, _ = power_spectrum(white(2, 1, 40, 64))
    assert frequency[0] == pytest.approx(2 / 40)
    assert frequency[-1] == 0.5


@pytest.mark.parametrize("exponent", [-1.0, -3.0])
def test_slope_of_a_power_law(exponent):
    frequency = torch.hypot(*torch.meshgrid(*[torch.fft.fftfreq(128)] * 2, indexing="ij"))
    frequency[0, 0] = math.inf
    z = torch.fft.ifft2(torch.fft.fft2(white(40, 1, 128, 128)) * frequency ** (exponent / 2)).real
    assert spectral_slope(power_spectrum(z), 0.05, 0.4) == pytest.approx(exponent, abs=0.08)
