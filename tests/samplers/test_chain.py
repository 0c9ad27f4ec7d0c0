"""Down into the noise, and all the way back."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.registry import SAMPLERS, UnknownNameError
from diffad.samplers.chain import Chain
from diffad.step import DDPM
from tests.helpers.toys import (
    ColouredNoise,
    ConstantDenoiser,
    CountingNoise,
    GaussianDenoiser,
    IdentityDenoiser,
    WienerDenoiser,
    filtered,
    linear_schedule,
    recorder,
    smooth_power,
    white_noise,
)

X = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1


def gaussian_data(power, std=0.5, items=8):
    white = torch.randn(items, 1, *power.shape, generator=torch.Generator().manual_seed(5))
    return std * filtered(white, power.sqrt())


def relative_power(x, power):
    """Power of ``x`` over ``power``, averaged in four bands of equally many frequencies, strongest first."""
    spectrum = torch.fft.fftn(x, dim=tuple(range(2, x.ndim))).abs().square().mean((0, 1)) / power.numel()
    order = power.flatten().argsort(descending=True)
    return torch.stack([(spectrum / power).flatten()[band].mean() for band in order.chunk(4)])


@pytest.mark.parametrize(
    "options", [{}, {"steps": 50}, {"step": "ddim"}, {"step": "ddim", "eta": 0.5, "steps": 50}], ids=str
)
@pytest.mark.parametrize(
    "power", [smooth_power(32, 32), smooth_power(12, 12, 12, width=2)], ids=["2-D", "3-D"]
)
def test_exact_denoiser_and_matching_noise_keep_the_covariance(options, power, generators):
    x = gaussian_data(power)
    twin = Chain(250, **options)(
        x, GaussianDenoiser(0.5), ColouredNoise(power), generator=generators(*range(8))
    ).image
    torch.testing.assert_close(relative_power(twin, power), torch.full((4,), 0.25), rtol=0.12, atol=0)


def test_reverse_noise_of_another_covariance_would_break_it(generators):
    """The test above can fail: white noise on the way back floods the weak frequencies."""
    power = smooth_power(32, 32)
    coloured, calls = ColouredNoise(power), []

    def mixed(like, t=None, *, generator):
        calls.append(t)
        return (coloured if len(calls) == 1 else white_noise)(like, t, generator=generator)

    twin = Chain(250)(
        gaussian_data(power), GaussianDenoiser(0.5), mixed, generator=generators(*range(8))
    ).image
    assert relative_power(twin, power)[-1] > 5 * 0.25


@pytest.mark.parametrize(
    "options", [{"step": "ddpm"}, {"step": "ddim"}, {"step": "ddim", "eta": 0.5}], ids=str
)
def test_exact_denoiser_of_textured_data_keeps_its_spectrum_in_white_noise(options, generators):
    power = smooth_power(32, 32)
    x = gaussian_data(power)
    chain = Chain(250, **options)
    twin = chain(x, WienerDenoiser(0.25 * power), white_noise, generator=generators(*range(8))).image
    torch.testing.assert_close(relative_power(twin, power)[:2], torch.full((2,), 0.25), rtol=0.12, atol=0)


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [({}, 0.01), ({"step": "ddim"}, 0.01), ({"steps": 50}, 0.07), ({"step": "ddim", "steps": 50}, 0.04)],
    ids=str,
)
def test_data_are_sampled_from_noise_with_the_right_spread(options, tolerance, generators):
    """Strided chains must not assume t -> t - 1, which makes 50 moves end near std .93 instead of .5."""
    x = torch.zeros(4, 1, 64, 64)
    twin = Chain(1000, **options)(
        x, GaussianDenoiser(0.5), white_noise, generator=generators(1, 2, 3, 4)
    ).image
    assert float(twin.std()) == pytest.approx(0.5, abs=tolerance)


def test_ddim_returns_an_image_the_denoiser_takes_for_clean(generators):
    """Scaling is undone exactly: only the noise of the jump remains, at its own scale."""
    z = white_noise(X, generator=generators(1, 2))
    alpha, sigma = linear_schedule().amplitudes(100, X)
    twin = Chain(100, 10, step="ddim")(X, IdentityDenoiser(), white_noise, generator=generators(1, 2)).image
    torch.testing.assert_close(twin, X + sigma / alpha * z)


@given(level=st.integers(1, 60), data=st.data())
@settings(deadline=None, max_examples=20)
def test_records_join_up_and_nfe_counts_the_calls(level, data):
    steps = data.draw(st.none() | st.integers(1, level))
    records, on_step = recorder()
    denoiser, rng = GaussianDenoiser(), torch.Generator().manual_seed(0)
    restoration = Chain(level, steps)(X, denoiser, white_noise, generator=rng, on_step=on_step)
    assert restoration.nfe == denoiser.calls == len(records) == (steps or level)
    assert [r.t for r in records] == denoiser.levels[:: len(X)]
    assert (records[0].t, records[-1].s) == (level, 0)
    for before, after in pairwise(records):
        assert before.s == after.t
        assert before.x_s is after.x_t
    assert restoration.image is records[-1].x_s


@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        ({"step": "ddpm"}, [20, 20, 15, 10]),
        ({"step": "ddim"}, [20]),
        ({"step": "ddim", "eta": 0.3}, [20, 20, 15, 10]),
    ],
    ids=str,
)
def test_noise_is_drawn_only_for_moves_that_use_it(options, drawn, generators):
    noise = CountingNoise()
    Chain(20, 4, **options)(X, GaussianDenoiser(), noise, generator=generators(1, 2))
    assert noise.levels == drawn


def test_chain_moves_by_the_step_it_names(generators):
    records, on_step = recorder()
    chain = Chain(2, variance="fixed_large")
    chain(X, GaussianDenoiser(), white_noise, generator=generators(1, 2), on_step=on_step)
    rng = generators(1, 2)
    white_noise(X, generator=rng)
    first, schedule = records[0], linear_schedule()
    expected = DDPM("fixed_large")(first.x_t, first.x_hat, 2, 1, schedule, white_noise(X, generator=rng))
    assert torch.equal(first.x_s, expected)


def test_deeper_levels_forget_more_of_the_image(generators):
    """What is left of a lesion is alpha times smaller at every level; the twin must follow."""

    def distance(level):
        denoiser = ConstantDenoiser(torch.zeros_like(X))
        twin = Chain(level, 1)(X, denoiser, white_noise, generator=generators(1, 2)).image
        assert torch.equal(twin, torch.zeros_like(X))
        gaussian = Chain(level, step="ddim")(
            X, GaussianDenoiser(0.1), white_noise, generator=generators(1, 2)
        ).image
        return float((gaussian * X).mean())

    assert distance(50) > distance(250) > distance(600)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 0}, ValueError, "level must be at least 1, got 0"),
        ({"level": 2.5}, TypeError, r"expected an integer for level, got 2\.5"),
        ({"level": 10, "steps": 11}, ValueError, r"steps must be in 1\.\.10 .* got 11"),
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"step": "euler"}, ValueError, "step must be 'ddpm', 'ddim', 'euler_flow' or 'cold', got 'euler'"),
        ({"step": "ddim", "eta": 2.0}, ValueError, r"eta must be in \[0, 1\], got 2\.0"),
        ({"eta": 0.5}, ValueError, r"eta belongs to step 'ddim', got 0\.5"),
        ({"variance": "learned"}, ValueError, "variance must be one of"),
        ({"step": "ddim", "variance": "fixed_large"}, ValueError, "variance belongs to step 'ddpm'"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        Chain(**options)


def test_unknown_options_name_the_closest():
    with pytest.raises(UnknownNameError, match="did you mean 'variance'"):
        SAMPLERS.build("chain", varience="fixed_large")
