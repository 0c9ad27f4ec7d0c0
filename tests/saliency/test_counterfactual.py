"""Counterfactuals: what they move, how far, and what they refuse."""

import pytest
import torch

from diffad.registry import SALIENCIES
from tests.helpers.looking import Half, Sums, squares

X = torch.rand(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))


def build(**options):
    return SALIENCIES.build("counterfactual", **{"classifier": squares(), "autoencoder": Half(), **options})


def test_largest_value_of_every_item_is_one():
    assert build(steps=2)(X).amax(dim=(1, 2, 3)).tolist() == [1, 1]


def test_map_follows_the_voxels_that_the_classifier_weighs():
    x = torch.full((1, 1, 4, 6), 0.4)
    result = build(steps=1, classifier=Sums())(x)[0, 0]
    # the ramp of the toy rises from 0.5 to 1.5
    torch.testing.assert_close(result, torch.linspace(0.5, 1.5, 6).expand(4, 6) / 1.5, rtol=0, atol=1e-3)


def test_classifier_that_does_not_care_leaves_an_empty_map():
    assert not build(classifier=Sums(((0.0,), (0.0,))))(X).any()


def test_targets_are_looked_at_alone_and_their_shares_added():
    both = build(steps=4, rate=0.05, targets=(1, 0))(X)
    parts = [build(steps=4, rate=0.05, targets=(c,))(X) for c in (1, 0)]
    total = sum(parts)
    torch.testing.assert_close(both, total / total.amax(dim=(1, 2, 3), keepdim=True))
    assert not torch.allclose(parts[0], parts[1], atol=1e-3)


def test_mask_bounds_what_the_peak_is_taken_of():
    mask = torch.ones(2, 1, 6, 5)
    mask[..., 2:] = 0
    result = build(steps=2)(X, mask)
    assert result.amax(dim=(1, 2, 3)).tolist() == [1, 1]


def test_networks_are_left_as_they_were():
    classifier, autoencoder = torch.nn.Linear(30, 2), Half()
    autoencoder.gain = torch.nn.Parameter(torch.ones(1))

    def ask(x, labels):
        return classifier(x.flatten(1).float())

    build(classifier=ask, autoencoder=autoencoder, steps=2)(X)
    assert classifier.weight.grad is None
    assert classifier.weight.requires_grad
    assert autoencoder.gain.grad is None
    assert autoencoder.gain.dtype == torch.float32


def test_double_precision_keeps_what_single_precision_rounds_away():
    certain = Sums(((0.0,), (-1.0,)))
    tiny = {"steps": 1, "rate": 1e-7, "classifier": certain, "targets": (1,)}
    x = torch.full((1, 1, 4, 6), 0.4)
    exact = torch.linspace(0.5, 1.5, 6).expand(4, 6) / 1.5
    errors = [(build(double=double, **tiny)(x)[0, 0] - exact).abs().max() for double in (True, False)]
    assert errors[0] < 1e-5
    assert errors[1] > 1e-2


def test_descent_that_diverges_raises():
    with pytest.raises(ValueError, match="expected finite latents, got others in step"):
        build(rate=1e300, steps=5)(X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps of at least 1 and level of at least 0, got 0 and 0"),
        ({"level": -1}, "got 20 and -1"),
        ({"rate": 0.0}, "expected rate > 0 and weight >= 0, both finite, got 0.0"),
        ({"weight": float("inf")}, "got 0.001 and inf"),
        ({"targets": ()}, r"expected targets, each a class of at least 0, got \(\)"),
        ({"targets": (-1,)}, "expected targets"),
    ],
    ids=str,
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
