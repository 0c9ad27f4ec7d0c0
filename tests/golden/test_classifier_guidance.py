"""Facts about counterfactuals by inversion and a classifier (Wolleb et al., 2022); index 499 is level 500."""

from itertools import pairwise

import pytest
import torch

from diffad.samplers.inversion import Inversion
from diffad.step import DDPM, ddim_step
from tests.helpers.mixture import (
    DISEASED,
    HEALTHY,
    NULL,
    ExactClassifier,
    MixtureDenoiser,
    blobs,
    drawn,
    model,
)
from tests.helpers.toys import linear_schedule, white_noise

SCHEDULE = linear_schedule()
BLOBS = blobs()
EACH = slice(None, None, 80)
"""Six diseased images, of different heads."""
ONE, ZERO = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)


@pytest.fixture(scope="module")
def x():
    return model(drawn(BLOBS.diseased[EACH]))


@pytest.fixture(scope="module")
def denoiser():
    return MixtureDenoiser(BLOBS)


def error(twin, x):
    """Mean absolute error in intensities of [0, 1]."""
    return float((twin - x).abs().mean()) / 2


def round_trip(x, denoiser, steps, refine=0):
    sampler = Inversion(500, steps, refine)
    return error(sampler(x, denoiser, white_noise, generator=torch.Generator()).image, x)


def gradient(x_t, t, y):
    """Gradient of log p(y | x_t) by the exact classifier."""
    x_t = x_t.clone().requires_grad_()
    logits = ExactClassifier(BLOBS)(x_t, torch.full((len(x_t),), t - 1))
    (result,) = torch.autograd.grad(logits.log_softmax(1)[:, y].sum(), x_t)
    return result


@pytest.mark.parametrize(
    ("index", "beta", "abar", "alpha", "sigma"),
    [
        (0, 1e-4, 0.9999, 0.999950, 0.010000),
        (249, 5.06006e-3, 0.5240854, 0.723937, 0.689866),
        (499, 1.004004e-2, 0.07858724, 0.280334, 0.959902),
        (500, 1.005996e-2, 0.07779666, 0.278921, 0.960314),
        (999, 0.02, 4.03583e-5, 0.006353, 0.999980),
    ],
)
def test_linear_schedule(index, beta, abar, alpha, sigma):
    level = index + 1
    assert float(SCHEDULE.alpha_bar(level)) == pytest.approx(abar, rel=2e-6)
    assert 1 - float(SCHEDULE.alpha_bar(level) / SCHEDULE.alpha_bar(index)) == pytest.approx(beta, rel=2e-6)
    assert [float(a) for a in SCHEDULE.amplitudes(level, ONE)] == pytest.approx([alpha, sigma], abs=6e-7)


@pytest.mark.parametrize("steps", [500, 50, 25, 10])
def test_the_way_back_undoes_the_way_up_for_the_same_noise(steps):
    class Fixed:
        """Finds the same noise in every state."""

        schedule = SCHEDULE

        def __call__(self, x_t, t):
            alpha, sigma = SCHEDULE.amplitudes(t, x_t)
            return (x_t - sigma * epsilon.to(x_t)) / alpha

    x, epsilon = torch.randn(2, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for level, several, rounding in [(500, x, 2e-5), (500, x.double(), 1e-12), (1000, x.double(), 1e-11)]:
        twin = Inversion(level, steps)(several, Fixed(), white_noise, generator=torch.Generator()).image
        assert float((twin - several).abs().max()) < rounding
    pair = 500, 500 - 500 // steps
    x_s = SCHEDULE.add_noise(x, epsilon, pair[1])
    x_t = SCHEDULE.add_noise(x, epsilon, pair[0])
    torch.testing.assert_close(ddim_step(x_t, x, *pair, SCHEDULE, epsilon), x_s, rtol=0, atol=7.2e-7)


@pytest.mark.parametrize("t", [50, 250, 500])
@pytest.mark.parametrize("y", [HEALTHY, DISEASED])
def test_an_exact_classifier_makes_the_denoiser_of_its_class(x, denoiser, t, y):
    x_t = SCHEDULE.add_noise(x, white_noise(x, generator=torch.Generator().manual_seed(1)), t)
    alpha, sigma = SCHEDULE.amplitudes(t, x_t)
    guided = denoiser(x_t, torch.tensor(t)) + sigma**2 / alpha * gradient(x_t, t, y)
    only = denoiser.mixture.only(y).clean(x_t, t)
    torch.testing.assert_close(guided, only, rtol=0, atol=1e-11)
    torch.testing.assert_close(MixtureDenoiser(BLOBS, y=y)(x_t, torch.tensor(t)), only, rtol=0, atol=1e-13)


def test_a_null_label_is_no_label(x, denoiser):
    t, y = torch.tensor(300), torch.tensor([NULL] * 5 + [HEALTHY])
    result = denoiser(x, t, y=y)
    assert torch.equal(result[:5], denoiser(x, t)[:5])
    torch.testing.assert_close(result[5:], MixtureDenoiser(BLOBS, y=HEALTHY)(x[5:], t))


def test_the_exact_classifier_is_sure_of_clean_images_and_unsure_of_noise(x):
    classifier = ExactClassifier(BLOBS)
    healthy = model(drawn(BLOBS.healthy[::10]))
    clean = torch.full((6,), -1)
    assert (classifier(x, clean).argmax(1) == DISEASED).all()
    assert (classifier(healthy, clean).argmax(1) == HEALTHY).all()
    noise = white_noise(x, generator=torch.Generator().manual_seed(2))
    assert classifier(noise, clean + 1000).exp() == pytest.approx(0.5, abs=0.02)


def test_encoding_with_the_target_keeps_the_lesion(x, denoiser):
    healthy, inversion = MixtureDenoiser(BLOBS, y=HEALTHY), Inversion(500, 100)
    lesion = BLOBS.lesions[EACH]
    codes = inversion.encode(x, denoiser), inversion.encode(x, healthy)
    edited, kept = (float((inversion.decode(c, healthy) - x).abs()[lesion].mean()) / 2 for c in codes)
    assert kept < 0.04
    assert edited > 5 * kept


def test_round_trip_without_guidance(x, denoiser):
    assert round_trip(x, denoiser, 500) < 3e-3
    assert round_trip(x, denoiser, 500, refine=1) < 1e-4


def test_round_trip_error_grows_with_the_stride(x, denoiser):
    errors = [round_trip(x, denoiser, steps) for steps in (500, 250, 50, 25, 10)]
    assert errors == sorted(errors)
    assert errors[1] / errors[0] == pytest.approx(2, rel=0.2)
    assert errors[-1] < 0.05


def test_refining_a_wide_stride_beats_halving_it_at_equal_cost(x, denoiser):
    plain, refined = round_trip(x, denoiser, 100), round_trip(x, denoiser, 50, refine=1)
    assert refined < plain / 2
    coarse = [round_trip(x, denoiser, 50, refine) for refine in range(3)]
    assert all(worse > 2 * better for worse, better in pairwise(coarse))


@pytest.mark.parametrize(("index", "value"), [(499, 3.28684), (250, 0.662761), (100, 0.110830)])
def test_shift_of_the_estimate_by_a_unit_gradient(index, value):
    alpha, sigma = SCHEDULE.amplitudes(index + 1, ONE)
    assert float(sigma**2 / alpha) == pytest.approx(value, rel=4e-6)


def test_posterior_at_index_499():
    step, move = DDPM(), (500, 499, SCHEDULE)
    c1, c2, spread = step(ZERO, ONE, *move, ZERO), step(ONE, ZERO, *move, ZERO), step(ZERO, ZERO, *move, ONE)
    assert [float(c1), float(c2)] == pytest.approx([0.00307007, 0.99410667], abs=6e-9)
    assert float(spread) ** 2 == pytest.approx(0.01003136, rel=1e-6)
