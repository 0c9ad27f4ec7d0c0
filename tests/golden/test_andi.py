"""The algebra and the published numbers of aggregated normative diffusion; index 75 is level 76."""

import math

import pytest
import torch

from diffad.denoise import NetworkDenoiser
from diffad.noise.gaussian import GaussianNoise
from diffad.samplers.levels import Levels
from diffad.score.base import begin_run
from diffad.score.normative import Normative
from diffad.score.transition import image_weight, transition_weight
from tests.helpers.toys import ConstantDenoiser, linear_schedule

SCHEDULE = linear_schedule()
LEVELS = range(76, 201)
SHAPE = (2, 1, 96, 96)
W_GEOMETRIC, W_ARITHMETIC, V_GEOMETRIC = 4.4068e-5, 4.4127e-5, 2.0896e-4
LIMIT = 0.5 * math.exp(-0.5772156649)
"""exp(E ln z^2) of standard normal z."""


def randn(seed, shape=(1, 1, 8, 8)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scan(shape):
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(9)) - 1


def posterior_mean(x_t, epsilon, t):
    """Mean of the step from level t to t - 1 that a noise stands for (Ho et al., 2020, eq. 11)."""
    abar = float(SCHEDULE.alpha_bar(t))
    alpha = abar / float(SCHEDULE.alpha_bar(t - 1))
    return (x_t - (1 - alpha) / (1 - abar) ** 0.5 * epsilon) / alpha**0.5


def score_of(denoiser, x, score, sampler=None):
    """Run sampler and score as a pipeline does, on Gaussian noise."""
    run = begin_run(score, x, SCHEDULE)
    rng = [torch.Generator().manual_seed(i) for i in range(len(x))]
    result = (sampler or Levels())(x, denoiser, GaussianNoise(), generator=rng, on_step=run.record)
    public = (x + 1) / 2
    return run.map(public, result), result


def zero_network(clip=True):
    return NetworkDenoiser(lambda x_t, labels: torch.zeros_like(x_t), SCHEDULE, clip=clip)


@pytest.mark.parametrize("t", [1, 2, 76, 126, 200, 1000])
def test_transitions_differ_by_the_weighted_noise_error_and_the_weighted_image_error(t):
    x, z, guess = randn(0), randn(1), randn(2)
    alpha, sigma = SCHEDULE.amplitudes(t, x)
    x_t = alpha * x + sigma * z
    x_hat = (x_t - sigma * guess) / alpha
    transitions = (posterior_mean(x_t, z, t) - posterior_mean(x_t, guess, t)).square()
    by_noise = transition_weight(t, SCHEDULE) * (z - guess).square()
    by_image = image_weight(t, SCHEDULE) * (x_hat - x).square()
    tight = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(transitions, by_noise, **tight)
    torch.testing.assert_close(transitions, by_image, **tight)
    by_snr = image_weight(t, SCHEDULE, "noise") * (x_hat - x).square()
    torch.testing.assert_close((z - guess).square(), by_snr, **tight)


@pytest.mark.parametrize(
    ("index", "abar", "w"), [(75, 0.937624, 4.080e-5), (125, 0.843988, 4.311e-5), (199, 0.659039, 4.864e-5)]
)
def test_signal_and_weights_of_the_levels(index, abar, w):
    assert float(SCHEDULE.alpha_bar(index + 1)) == pytest.approx(abar, abs=6e-7)
    assert transition_weight(index + 1, SCHEDULE) == pytest.approx(w, abs=6e-9)


@pytest.mark.parametrize(("index", "v"), [(75, 6.1328e-4), (199, 9.4013e-5)])
def test_weights_of_the_image_error(index, v):
    assert image_weight(index + 1, SCHEDULE) == pytest.approx(v, rel=2e-5)


def test_mean_weights_of_the_125_levels():
    w = torch.tensor([transition_weight(t, SCHEDULE) for t in LEVELS])
    v = torch.tensor([image_weight(t, SCHEDULE) for t in LEVELS])
    assert len(w) == 125
    assert float(w.log().mean().exp()) == pytest.approx(W_GEOMETRIC, abs=6e-10)
    assert float(w.mean()) == pytest.approx(W_ARITHMETIC, abs=6e-10)
    assert float(v.log().mean().exp()) == pytest.approx(V_GEOMETRIC, rel=3e-5)


def test_expected_geometric_mean_of_125_squared_normals():
    expected = 2 * (math.gamma(0.5 + 1 / 125) / math.gamma(0.5)) ** 125
    assert float(expected) == pytest.approx(0.28628, abs=6e-6)
    assert float(LIMIT) == pytest.approx(0.28073, abs=6e-6)


@pytest.mark.parametrize(
    ("mean", "expected"), [("geometric", 0.28628 * W_GEOMETRIC), ("arithmetic", 1.0 * W_ARITHMETIC)]
)
def test_a_network_that_finds_no_noise_scores_the_noise_itself(mean, expected):
    scores, result = score_of(zero_network(), scan(SHAPE), Normative(mean))
    assert result.nfe == 125
    assert float(scores.mean()) == pytest.approx(expected, rel=4 * float(scores.std() / scores.mean()) / 135)


def test_clamped_estimates_would_miss_it():
    """The test above can fail: clamping hides noise."""

    class Clamped:
        schedule = SCHEDULE

        def __call__(self, x_t, t):
            return zero_network(clip=True)(x_t, t)

    scores, _ = score_of(Clamped(), torch.ones(SHAPE), Normative())
    assert float(scores.mean()) < 0.5 * 0.28628 * W_GEOMETRIC


def test_twentyfive_levels_estimate_the_same_mean():
    expected = 2 * (math.gamma(0.5 + 1 / 25) / math.gamma(0.5)) ** 25
    scores, result = score_of(zero_network(), torch.zeros(SHAPE), Normative(weight="noise"), Levels(stride=5))
    assert result.nfe == 25
    assert float(scores.mean()) == pytest.approx(expected, rel=0.02)


def test_scaling_the_levels_keeps_ranks_under_the_geometric_mean_only():
    x = torch.zeros(1, 1, 32, 32)
    ranks = {
        (mean, weight): score_of(zero_network(), x, Normative(mean, weight))[0].flatten().argsort()
        for mean in ("geometric", "arithmetic")
        for weight in ("transition", "none")
    }
    assert torch.equal(ranks["geometric", "transition"], ranks["geometric", "none"])
    assert not torch.equal(ranks["arithmetic", "transition"], ranks["arithmetic", "none"])


@pytest.mark.parametrize("mean", ["geometric", "arithmetic"])
def test_a_perfect_denoiser_scores_zero(mean):
    x = scan((2, 2, 8, 8))
    scores, _ = score_of(ConstantDenoiser(x), x, Normative(mean))
    assert torch.equal(scores, torch.zeros(2, 1, 8, 8))
