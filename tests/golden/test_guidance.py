"""Guidance on a mixture of Gaussians, where the classifier is known, and facts that papers state or ship."""

from itertools import pairwise

import pytest
import torch
from diffusers import DDPMScheduler

from diffad.denoise import as_denoiser
from diffad.models.blocks import SelfAttention
from diffad.models.classifier import Classifier
from diffad.registry import GUIDANCES
from diffad.samplers.base import levels_down
from diffad.schedule import Schedule
from tests.helpers.mixture import (
    DISEASED,
    HEALTHY,
    NULL,
    ExactClassifier,
    MixtureDenoiser,
    blobs,
    drawn,
    model,
    public,
)
from tests.helpers.toys import ConstantDenoiser

TEMPLATES = blobs(count=20, lesions=4)
LEVELS = [1, 20, 100, 250, 500, 999]
PUBLISHED = {
    "in_channels": 4,
    "channels": (32, 32, 64, 64, 128, 128),
    "layers": 4,
    "groups": 32,
    "attention": (8, 16, 32),
    "head_channels": 64,
    "pool": "attention",
}


class Told(MixtureDenoiser):
    """The mixture as a denoiser that takes labels."""

    null = NULL


def guided(denoiser, **options):
    return GUIDANCES.build("classifier", classifier=ExactClassifier(TEMPLATES), **options)(denoiser)


def states(t, count=6):
    """Noise diseased images to level ``t``."""
    x = model(drawn(TEMPLATES.diseased[:count], seed=3))
    z = torch.randn(x.shape, generator=torch.Generator().manual_seed(4), dtype=x.dtype)
    return MixtureDenoiser(TEMPLATES).schedule.add_noise(x, z, t)


@pytest.mark.parametrize("t", LEVELS)
@pytest.mark.parametrize("target", [HEALTHY, DISEASED])
def test_true_classifier_at_scale_one_makes_the_denoiser_of_the_class(t, target):
    x_t, level = states(t), torch.tensor(t)
    found = guided(MixtureDenoiser(TEMPLATES), target=target)(x_t, level)
    expected = MixtureDenoiser(TEMPLATES, y=target)(x_t, level)
    # what is known of x_hat is what is known of the noise, times sigma / alpha
    abar = MixtureDenoiser(TEMPLATES).schedule.alpha_bar(t)
    assert (found - expected).abs().max() < 1e-12 * max(1, float((1 - abar) / abar.sqrt()))


@pytest.mark.parametrize("t", [100, 500])
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 3.0])
def test_both_guidances_agree_where_the_classifier_is_the_implied_one(t, scale):
    x_t, level = states(t), torch.tensor(t)
    free = GUIDANCES.build("classifier_free", scale=scale)(Told(TEMPLATES))
    by_gradient = guided(MixtureDenoiser(TEMPLATES), scale=scale)
    torch.testing.assert_close(free(x_t, level), by_gradient(x_t, level), rtol=0, atol=1e-11)


def move(x, x_hat, t, s, schedule):
    """Follow the probability flow from level ``t`` to ``s``, up or down."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (schedule.amplitudes(level, x) for level in (t, s))
    return alpha_s * x_hat + sigma_s * (x - alpha_t * x_hat) / sigma_t


def inverted(x, denoiser, highest=500, steps=50):
    """Encode ``x`` without steering, as if it were of the level above, and decode it with."""
    schedule, down = denoiser.schedule, levels_down(highest, steps)
    for s, t in pairwise(down[::-1]):
        x_hat = as_denoiser(denoiser).without_guidance()(x, torch.tensor(t))
        epsilon = (x - schedule.amplitudes(t, x)[0] * x_hat) / schedule.amplitudes(t, x)[1]
        alpha, sigma = schedule.amplitudes(s, x)
        clean = (x - sigma * epsilon) / alpha
        x = schedule.add_noise(clean, epsilon, t)
    for t, s in pairwise(down):
        x = move(x, denoiser(x, torch.tensor(t)), t, s, schedule)
    return x


def residual(denoiser, where="lesion"):
    """Mean absolute change of diseased images in their lesions, or elsewhere, in [0, 1]."""
    x = drawn(TEMPLATES.diseased[:8], seed=5)
    change = (public(inverted(model(x), denoiser)) - x).abs()
    lesions = TEMPLATES.lesions[:8]
    return change[lesions if where == "lesion" else ~lesions].mean().item()


def test_lesion_is_rebuilt_when_both_ways_are_told_of_health_and_goes_when_one_is():
    both = residual(MixtureDenoiser(TEMPLATES, y=HEALTHY))
    back = residual(guided(MixtureDenoiser(TEMPLATES)))
    none = residual(MixtureDenoiser(TEMPLATES))
    assert both < 0.1
    assert none < 0.1
    assert back > 0.2
    assert back > 4 * residual(guided(MixtureDenoiser(TEMPLATES)), "elsewhere")


@pytest.mark.parametrize(("index", "weight"), [(499, 3.28684), (250, 0.662761), (100, 0.110830)])
def test_weight_of_the_gradient_is_as_published(index, weight):
    schedule = Schedule.from_diffusers(DDPMScheduler())
    abar = schedule.alpha_bar(index + 1)
    assert float((1 - abar) / abar.sqrt()) == pytest.approx(weight, rel=3e-6)

    def even(x, labels):
        """At x of 0 both classes are as likely, and log p(0) has a gradient of ones."""
        found = 2 * x.flatten(1).sum(1)
        return torch.stack([found, torch.zeros_like(found)], 1)

    nothing = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    guidance = GUIDANCES.build("classifier", classifier=even)
    x_hat = guidance(ConstantDenoiser(nothing, schedule))(nothing, torch.tensor(index + 1))
    assert x_hat.flatten().tolist() == pytest.approx([weight] * 4, rel=3e-6)


def test_published_classifier_has_as_many_parameters_and_answers_two_logits():
    with torch.device("meta"):
        network = Classifier(**PUBLISHED)
        logits = network(torch.zeros(2, 4, 256, 256), torch.zeros(2))
    assert sum(p.numel() for p in network.parameters()) == 5_452_962
    assert logits.shape == (2, 2)
    heads = [part.heads for part in network.modules() if isinstance(part, SelfAttention)]
    assert heads == [1] * 4 + [2] * 4 + [2] * 4 + [2]
