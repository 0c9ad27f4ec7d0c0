"""Networks that are told a class: how, and what they refuse; and those that answer a variance, too."""

import pytest
import torch

from diffad.denoise import NetworkDenoiser, learns_variance, null_label
from diffad.guidance.classifier import ClassifierGuidance
from diffad.models.adm import ADM
from diffad.samplers.inversion import Inversion
from tests.helpers.toys import linear_schedule, white_noise

SMALL = {"base": 8, "mults": (1, 2), "layers": 1, "groups": 4}
T = torch.tensor([3, 30])
Y = torch.tensor([1, 0])


def network(**options):
    torch.manual_seed(0)
    built = ADM(**{**SMALL, **options}).eval()
    for weights in built.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return built


@pytest.fixture
def x():
    return torch.randn(2, 1, 12, 9, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_class_is_a_vector_added_to_that_of_the_time(x):
    told, plain = network(classes=2), network()
    plain.load_state_dict({k: v for k, v in told.state_dict().items() if k != "table.weight"})
    plain.time.register_forward_hook(lambda part, given, answer: answer + told.table.weight[Y])
    assert torch.equal(told(x, T, y=Y), plain(x, T))
    assert not torch.allclose(told(x, T, y=Y), told(x, T, y=1 - Y))


@torch.no_grad()
def test_class_of_one_item_leaves_the_other_alone(x):
    told = network(classes=3)
    first, other = told(x, T, y=Y), told(x, T, y=torch.tensor([1, 2]))
    assert torch.equal(first[0], other[0])
    torch.testing.assert_close(told(x[1:], T[1:], y=Y[1:])[0], first[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("y", "found"),
    [
        (None, "got none: guidance 'classifier' with reference = true names it"),
        (torch.tensor([0, 2]), r"got \[0, 2\]"),
        (torch.tensor([-1, 0]), r"got \[-1, 0\]"),
        (torch.tensor([0]), r"got torch.int64 of shape \(1,\) for 2 items"),
        (torch.tensor([0.0, 1.0]), r"got torch.float32 of shape \(2,\)"),
    ],
)
def test_class_that_is_missing_or_unknown_raises(x, y, found):
    with pytest.raises(ValueError, match=rf"ADM expected the class of each item, one of 0\.\.1, .*{found}"):
        network(classes=2)(x, T, y=y)


def test_class_that_is_surplus_raises(x):
    with pytest.raises(ValueError, match="ADM expected no classes, as it was built with classes = 0"):
        network()(x, T, y=Y)


def test_numbers_of_classes_and_ways_that_are_none_raise():
    with pytest.raises(ValueError, match="ADM expected classes of at least 0, got -1"):
        network(classes=-1)
    with pytest.raises(ValueError, match="ADM expected resample of block, convolution, got 'conv'"):
        network(resample="conv")


def test_capabilities_are_those_that_were_built():
    assert (null_label(network()), null_label(network(classes=2))) == (None, 2)
    assert (learns_variance(network()), learns_variance(network(learned_variance=True))) == (False, True)


@torch.no_grad()
@pytest.mark.parametrize("patch", [1, 2])
def test_variance_is_answered_after_the_rest_where_it_is_asked_for(x, patch):
    built = network(learned_variance=True, patch=patch, dims=2, in_channels=2, out_channels=2)
    x = torch.cat([x, -x], 1)
    both = built(x, T, variance=True)
    assert both.shape == (2, 4, 12, 9)
    assert torch.equal(built(x, T), both[:, :2])


@torch.no_grad()
def test_denoiser_with_a_variance_restores_as_one_without(x):
    """A state of one channel would silently be broadcast against an answer of two."""
    built = network(learned_variance=True)
    denoiser = NetworkDenoiser(built, linear_schedule())
    assert denoiser(x, T).shape == x.shape
    plain = NetworkDenoiser(lambda x_t, labels: built(x_t, labels, variance=True)[:, :1], linear_schedule())
    assert torch.equal(denoiser(x, T), plain(x, T))


def test_published_way_needs_no_other_label_and_any_other_is_refused(x):
    denoiser = NetworkDenoiser(network(classes=2), linear_schedule())
    generators = [torch.Generator().manual_seed(s) for s in (1, 2)]
    guided = ClassifierGuidance(scale=0.0, reference=True)(denoiser)
    assert Inversion(5, reference=True)(x, guided, white_noise, generator=generators).image.isfinite().all()
    with pytest.raises(ValueError, match="expected the class of each item"):
        Inversion(5)(x, ClassifierGuidance(scale=0.0)(denoiser), white_noise, generator=generators)
