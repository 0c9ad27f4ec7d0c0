"""Guidance without a classifier: one doubled batch, and what it refuses."""

import pytest
import torch

from diffad.denoise import NetworkDenoiser, bind
from diffad.models.chunked import Chunked
from diffad.models.labelled import Labelled
from diffad.models.unet2d import UNet2D
from diffad.registry import GUIDANCES
from tests.helpers.toys import GaussianDenoiser, linear_schedule

T = torch.tensor([5, 300, 900])
NULL = 2
# what each label adds to an estimate; the last is that of none
ADDS = torch.tensor([0.25, -0.5, 0.125])


class Adding(GaussianDenoiser):
    """A denoiser of two classes, told apart by what they add."""

    null = NULL

    def __init__(self):
        super().__init__()
        self.told = []

    def __call__(self, x_t, t, y=None, embedding=None):
        self.told.append(None if y is None else y.tolist())
        label = torch.full((len(x_t),), NULL) if y is None else y
        extra = 0 if embedding is None else embedding[:, :, None, None]
        return super().__call__(x_t, t) + ADDS[label][:, None, None, None] + extra


@pytest.fixture
def x_t():
    return torch.randn(3, 1, 4, 5, generator=torch.Generator().manual_seed(2))


def guided(inner, **options):
    return GUIDANCES.build("classifier_free", **options)(inner)


@pytest.mark.parametrize(("base", "label"), [("null", NULL), (1, 1)])
def test_estimate_moves_from_the_base_through_the_target(x_t, base, label):
    inner = Adding()
    expected = GaussianDenoiser()(x_t, T) + ADDS[label] + 2.5 * (ADDS[0] - ADDS[label])
    torch.testing.assert_close(guided(inner, scale=2.5, base=base)(x_t, T), expected)
    assert (inner.calls, inner.items) == (1, 6)
    assert inner.told == [[label] * 3 + [0] * 3]


def test_the_healthy_class_may_be_what_is_steered_away_from(x_t):
    plain = GaussianDenoiser()(x_t, T)
    expected = plain + ADDS[0] + 2.0 * (ADDS[1] - ADDS[0])
    torch.testing.assert_close(guided(Adding(), scale=2.0, target=1, base=0)(x_t, T), expected)


@pytest.mark.parametrize("base", ["null", 1])
@pytest.mark.parametrize("scale", [0, 1.0])
def test_base_and_target_cost_one_evaluation_and_are_exact(x_t, scale, base):
    inner = Adding()
    answer = guided(inner, scale=scale, base=base)(x_t, T)
    label = 0 if scale else {"null": NULL, 1: 1}[base]
    assert (inner.calls, inner.items) == (1, 3)
    assert torch.equal(answer, inner(x_t, T, y=torch.full((3,), label)))


def test_base_null_is_the_denoiser_that_is_told_nothing(x_t):
    inner = Adding()
    assert torch.equal(guided(inner, scale=0.0)(x_t, T), inner(x_t, T))


def test_conditions_and_levels_of_items_reach_both_halves(x_t):
    inner, told = Adding(), torch.tensor([[1.0], [2.0], [3.0]])
    answer = bind(guided(inner, scale=2.0), {"embedding": told})(x_t, T)
    plain = guided(inner, scale=2.0)(x_t, T)
    torch.testing.assert_close(answer, plain + told[:, :, None, None])
    assert inner.levels[:6] == [5, 300, 900] * 2


def test_one_level_serves_all(x_t):
    one, each = (guided(Adding())(x_t, t) for t in (torch.tensor(300), torch.full((3,), 300)))
    torch.testing.assert_close(one, each)


@pytest.fixture
def network():
    torch.manual_seed(0)
    backbone = {"name": "unet2d", "channels": [8], "layers": 1, "groups": 4}
    return Labelled(backbone, width=6).eval()


@torch.no_grad()
def test_clamp_follows_the_move(x_t, network):
    inner = NetworkDenoiser(network, linear_schedule(), "sample")
    wrapped = guided(inner, scale=40.0)
    free = wrapped.without_clamp()(x_t, T)
    base, target = (inner.without_clamp()(x_t, T, y=torch.full((3,), y)) for y in (NULL, 0))
    torch.testing.assert_close(free, base + 40 * (target - base), rtol=0, atol=1e-4)
    assert free.abs().max() > 1
    assert torch.equal(wrapped(x_t, T), free.clamp(-1, 1))


@torch.no_grad()
def test_network_that_sees_few_items_at_once_is_told_the_right_labels(x_t, network):
    whole = guided(NetworkDenoiser(network, linear_schedule()))(x_t, T)
    parts = guided(NetworkDenoiser(Chunked(network, 2), linear_schedule()))(x_t, T)
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-4)


def test_unguided_is_told_nothing(x_t):
    inner = Adding()
    guided(inner).without_guidance()(x_t, T)
    assert inner.told == [None]


def test_network_without_labels_raises():
    for inner in (GaussianDenoiser(), NetworkDenoiser(UNet2D(channels=[8]), linear_schedule())):
        with pytest.raises(
            ValueError, match=r"expected a network with labels, .* 'labelled', got one without labels"
        ):
            guided(inner)


@pytest.mark.parametrize("scale", [-0.5, float("nan"), float("inf")])
def test_scale_below_zero_or_not_finite_raises(scale):
    with pytest.raises(ValueError, match="expected a scale that is finite and at least 0"):
        guided(Adding(), scale=scale)


@pytest.mark.parametrize("options", [{"base": "other"}, {"base": 0}, {"base": -1}, {"target": 1, "base": 1}])
def test_base_that_is_no_other_class_raises(options):
    with pytest.raises(ValueError, match="expected a base that is 'null' or a class other than"):
        guided(Adding(), **options)


@pytest.mark.parametrize("options", [{"target": 2}, {"base": 3}])
def test_labels_the_network_does_not_know_raise(options):
    with pytest.raises(ValueError, match=r"expected a \w+ among the 2 classes of the network, got [23]"):
        guided(Adding(), **options)


def test_target_below_zero_raises():
    with pytest.raises(ValueError, match="target class of at least 0, got -1"):
        guided(Adding(), target=-1)
