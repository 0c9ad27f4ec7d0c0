"""Gradients: the shares of all voxels are the difference that they make."""

import pytest
import torch

from diffad.registry import SALIENCIES
from diffad.saliency.networks import compute_logits
from diffad.saliency.smooth import smooth
from tests.helpers.looking import Sums, squares

X = torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))


def build(**options):
    return SALIENCIES.build("gradient", **{"classifier": squares(), **options})


@pytest.mark.parametrize("baseline", ["background", "blurred"])
def test_shares_add_up_to_the_difference_from_the_baseline(baseline):
    look = build(baseline=baseline, width=2.0)
    start = torch.zeros_like(X) if baseline == "background" else smooth(X, 2.0)
    odds = [compute_logits(look.classifier, image, 0).diff(dim=1)[:, 0] for image in (X, start)]
    torch.testing.assert_close(look.attribution(X).sum((1, 2, 3)), odds[0] - odds[1])


def test_map_of_a_line_is_known():
    ramp = torch.linspace(0.5, 1.5, 5)
    torch.testing.assert_close(build(classifier=Sums(), baseline=None)(X), (2 * ramp).expand(X.shape))
    torch.testing.assert_close(build(classifier=Sums(), steps=1)(X), X * 2 * ramp)


def test_odds_are_those_of_all_classes_but_the_healthy_one():
    three = Sums(((0.0,), (1.0,), (0.5,)))
    x = X.clone().requires_grad_()
    odds = three(2 * x - 1, torch.tensor([-1, -1])).softmax(1)
    (expected,) = torch.autograd.grad(((1 - odds[:, 0]) / odds[:, 0]).log().sum(), x)
    torch.testing.assert_close(build(classifier=three, baseline=None)(X), expected.abs())


def test_classifier_is_asked_at_the_level():
    classifier = squares()
    build(classifier=classifier, level=50, steps=1)(X)
    assert classifier.labels == [49, 49]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "noise"}, "expected baseline of background, blurred or none, got 'noise'"),
        ({"steps": 0}, "expected steps >= 1, level >= 0 and a finite width > 0, got 0, 0 and 8.0"),
        ({"width": 0.0}, "got 16, 0 and 0.0"),
    ],
    ids=str,
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
