"""Published numbers of the schedules AnoDDPM trains with; index 249 is level 250."""

import pytest
import torch

from diffad.schedule import Schedule
from diffad.step import DDPM, VARIANCES
from tests.helpers.toys import linear_schedule

ONE, ZERO = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)


@pytest.fixture(scope="module")
def cosine():
    from diffusers import DDPMScheduler

    return Schedule.from_diffusers(DDPMScheduler(1000, beta_schedule="squaredcos_cap_v2"))


def beta(schedule, index):
    return 1 - float(schedule.alpha_bar(index + 1) / schedule.alpha_bar(index))


def coefficients(schedule, index, variance="fixed_small"):
    """Weights of x_hat, x_t and z in the DDPM move from level index + 1 to level index."""
    step, move = DDPM(variance), (index + 1, index, schedule)
    return [
        float(step(x_t, x_hat, *move, z))
        for x_hat, x_t, z in [(ONE, ZERO, ZERO), (ZERO, ONE, ZERO), (ZERO, ZERO, ONE)]
    ]


@pytest.mark.parametrize(
    ("index", "value"),
    [(0, 1e-4), (1, 1.1992e-4), (199, 0.00406406), (249, 0.00506006), (499, 0.01004004), (999, 0.02)],
)
def test_linear_betas(index, value):
    assert beta(linear_schedule(), index) == pytest.approx(value, rel=2e-6)


def test_linear_betas_scale_with_the_number_of_levels():
    assert beta(linear_schedule(250), 0) == pytest.approx(0.0004)
    assert beta(linear_schedule(250), 249) == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("index", "value"),
    [(0, 0.999900), (99, 0.897018), (199, 0.659039), (249, 0.524085), (499, 0.078587), (799, 0.001532)],
)
def test_linear_alpha_bars(index, value):
    assert float(linear_schedule().alpha_bar(index + 1)) == pytest.approx(value, abs=6e-7)


def test_last_linear_alpha_bar():
    assert float(linear_schedule().alpha_bar(1000)) == pytest.approx(4.04e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("index", "alpha", "sigma"),
    [
        (99, 0.947110, 0.320908),
        (199, 0.811812, 0.583919),
        (249, 0.723937, 0.689866),
        (499, 0.280334, 0.959902),
    ],
)
def test_forward_amplitudes(index, alpha, sigma):
    amplitudes = linear_schedule().amplitudes(index + 1, ONE)
    assert [float(a) for a in amplitudes] == pytest.approx([alpha, sigma], abs=6e-7)


@pytest.mark.parametrize(
    ("index", "c1", "c2"), [(249, 0.007717, 0.991880), (199, 0.009696, 0.990095), (0, 1, 0)]
)
def test_posterior_means(index, c1, c2):
    for variance in VARIANCES:
        assert coefficients(linear_schedule(), index, variance)[:2] == pytest.approx([c1, c2], abs=6e-7)


@pytest.mark.parametrize(("index", "value"), [(249, 5.031721e-3), (1, 5.453188e-5), (0, 0)])
def test_posterior_variances(index, value):
    assert coefficients(linear_schedule(), index)[2] ** 2 == pytest.approx(value, rel=1e-6)


def test_large_variance_is_beta_and_vanishes_at_the_end():
    assert coefficients(linear_schedule(), 249, "fixed_large")[2] ** 2 == pytest.approx(5.06006e-3, rel=1e-6)
    assert coefficients(linear_schedule(), 0, "fixed_large")[2] == 0


def test_cosine_schedule(cosine):
    assert beta(cosine, 0) == pytest.approx(4.128e-5, rel=2e-3)
    assert beta(cosine, 999) == pytest.approx(0.999, rel=1e-5)
    assert float(cosine.alpha_bar(250)) == pytest.approx(0.847012, abs=2e-6)
    assert float(cosine.alpha_bar(500)) == pytest.approx(0.493844, abs=2e-6)
