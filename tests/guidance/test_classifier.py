"""Guidance by a classifier: what it costs, where it acts, and what it refuses."""

from contextlib import nullcontext
from itertools import pairwise

import pytest
import torch
from torch import nn

from diffad.capabilities import attach_networks
from diffad.denoise import ConditionedDenoiser, NetworkDenoiser
from diffad.guidance.encoder import EncoderCondition
from diffad.guidance.gradient import find_target_gradient
from diffad.models.classifier import Classifier
from diffad.registry import GUIDANCES
from diffad.samplers.inversion import Inversion
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, KnownNetwork

T = torch.tensor([5, 300, 900])
DOUBLE = torch.float64


class Slope(nn.Module):
    """Logits (0, a sum(x)) of which log p(0) has the gradient -a p(1); it counts what it is asked."""

    def __init__(self, slope=0.1, bad=None):
        super().__init__()
        self.slope, self.bad = nn.Parameter(torch.tensor(slope, dtype=DOUBLE)), bad
        self.forwards, self.backwards, self.seen = 0, 0, []

    def forward(self, x_t, labels):
        self.forwards += 1
        self.seen.append((x_t.dtype, labels.tolist(), torch.is_autocast_enabled("cpu")))
        if x_t.requires_grad:
            x_t.register_hook(self.hook)
        found = self.slope.to(x_t.dtype) * x_t.flatten(1).sum(1)
        if self.bad is not None:
            found = found * torch.where(labels == self.bad, torch.nan, 1.0)
        return torch.stack([torch.zeros_like(found), found], 1)

    def hook(self, grad):
        self.backwards += 1


def refuses(x_t, labels):
    raise AssertionError("expected no call of the classifier")


@pytest.fixture
def x_t():
    return torch.randn(3, 1, 4, 5, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)


def guided(inner, classifier, **options):
    return GUIDANCES.build("classifier", classifier=classifier, **options)(inner)


def gradient(x_t, slope=0.1):
    """The gradient of log p(0) of ``Slope``, in closed form."""
    diseased = torch.sigmoid(slope * x_t.flatten(1).sum(1))
    return (-slope * diseased)[:, None, None, None].expand_as(x_t)


def weight(schedule, t=T):
    abar = schedule.alpha_bar(t)
    return ((1 - abar) / abar.sqrt())[:, None, None, None]


def test_estimate_moves_along_the_gradient_in_closed_form(x_t):
    inner = GaussianDenoiser()
    expected = inner(x_t, T) + 3 * weight(inner.schedule) * gradient(x_t)
    torch.testing.assert_close(guided(inner, Slope(), scale=3.0)(x_t, T), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_what_each_kind_of_network_predicts_moves_as_published(x_t, prediction):
    known = GaussianDenoiser()
    alpha, sigma = known.schedule.amplitudes(T, x_t)
    g = 2 * gradient(x_t)
    moves = {"epsilon": -sigma * g, "v_prediction": -sigma / alpha * g, "sample": sigma**2 / alpha * g}
    plain = KnownNetwork(known, prediction)

    def moved(x, labels):
        return plain(x, labels) + moves[prediction]

    expected = NetworkDenoiser(moved, known.schedule, prediction, clip=False)(x_t, T)
    inner = NetworkDenoiser(plain, known.schedule, prediction, clip=False)
    torch.testing.assert_close(guided(inner, Slope(), scale=2.0)(x_t, T), expected, rtol=0, atol=1e-11)


def test_one_evaluation_one_forward_and_one_backward_a_step(x_t):
    inner, classifier = GaussianDenoiser(), Slope()
    guided(inner, classifier)(x_t, T)
    assert (inner.calls, inner.items, classifier.forwards, classifier.backwards) == (1, 3, 1, 1)
    assert classifier.seen[0][1] == [4, 299, 899]


@pytest.mark.parametrize("clip", [True, False])
def test_scale_zero_is_no_guidance_to_the_last_bit(x_t, clip):
    inner = NetworkDenoiser(KnownNetwork(GaussianDenoiser()), GaussianDenoiser().schedule, clip=clip)
    assert torch.equal(guided(inner, refuses, scale=0.0)(x_t, T), inner(x_t, T))


def test_levels_outside_the_range_are_untouched_and_not_classified(x_t):
    inner, classifier = GaussianDenoiser(), Slope()
    answer = guided(inner, classifier, levels=[200, 300])(x_t, T)
    assert classifier.seen[0][1] == [299]
    assert torch.equal(answer[[0, 2]], inner(x_t, T)[[0, 2]])
    assert not torch.allclose(answer[1], inner(x_t, T)[1])
    outside = guided(inner, refuses, levels=[200, 250])
    assert torch.equal(outside(x_t, T), inner(x_t, T))


@pytest.mark.parametrize("low", [200, 300])
@pytest.mark.parametrize("high", [300, 400])
def test_both_ends_of_the_range_act(x_t, low, high):
    inner = GaussianDenoiser()
    answer = guided(inner, Slope(), levels=(low, high))(x_t, torch.tensor(300))
    assert not torch.allclose(answer, inner(x_t, torch.tensor(300)))


def test_each_item_has_its_own_scale(x_t):
    inner, scales = GaussianDenoiser(), [0.0, 1.0, 30.0]
    together = guided(inner, Slope(), scale=scales)(x_t, T)
    for i, s in enumerate(scales):
        alone = guided(inner, Slope(), scale=s)(x_t[i : i + 1], T[i : i + 1])
        assert torch.equal(alone[0], together[i])


def test_scales_of_scans_serve_every_state_of_a_stack(x_t):
    wrapped = guided(GaussianDenoiser(), Slope(), scale=[0.0, 1.0, 30.0])
    stack = wrapped(torch.cat([x_t, x_t]), torch.cat([T, T]))
    assert torch.equal(stack[:3], stack[3:])
    assert torch.equal(stack[:3], wrapped(x_t, T))
    with pytest.raises(ValueError, match=r"stacks 3 scans, one per scale, got 2 states"):
        wrapped(x_t[:2], T[:2])


@pytest.mark.parametrize("scale", [[0.0, 1.0, 30.0], 2.0])
def test_some_items_of_a_batch_are_guided_as_they_were_in_it(x_t, scale):
    wrapped, items = guided(GaussianDenoiser(), Slope(), scale=scale), torch.tensor([2, 0])
    assert torch.equal(wrapped.select(items)(x_t[items], T[items]), wrapped(x_t, T)[items])


@pytest.mark.parametrize(
    "around",
    [nullcontext, torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
)
def test_gradient_is_the_same_in_any_mode_and_in_full_precision(around):
    x_t = torch.randn(2, 1, 8, 6, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    network = Classifier(channels=[8], layers=1, groups=4).eval()
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.3)
    expected = find_target_gradient(network, x_t, T[:2], 0)
    with around():
        state = x_t.clone()
        found = find_target_gradient(network, state, T[:2], 0)
    assert found.abs().max() > 1e-4
    assert torch.equal(found, expected)
    assert not found.requires_grad
    assert not state.requires_grad
    assert all(p.grad is None for p in network.parameters())


def test_narrow_states_are_classified_in_single_precision(x_t):
    inner, classifier = GaussianDenoiser(), Slope()
    with torch.autocast("cpu", torch.bfloat16):
        answer = guided(inner, classifier)(x_t.bfloat16(), T)
    assert classifier.seen[0][::2] == (torch.float32, False)
    assert answer.dtype == torch.bfloat16


@pytest.mark.parametrize("reference", [False, True])
def test_clamp_follows_the_move_and_precedes_it_as_published(x_t, reference):
    known = ConstantDenoiser(torch.full((3, 1, 4, 5), -1.3, dtype=DOUBLE))
    move = 10 * weight(known.schedule) * gradient(x_t, slope=-0.1)
    inner = NetworkDenoiser(KnownNetwork(known, "sample"), known.schedule, "sample")
    wrapped = guided(inner, Slope(-0.1), scale=10.0, reference=reference)
    expected = -1 + move if reference else (-1.3 + move).clamp(-1, 1)
    assert (expected > -1).any()
    torch.testing.assert_close(wrapped(x_t, T), expected, rtol=0, atol=1e-12)
    free = expected if reference else -1.3 + move  # the published clamp belongs to the guidance
    torch.testing.assert_close(wrapped.without_clamp()(x_t, T), free, rtol=0, atol=1e-12)
    torch.testing.assert_close(wrapped(x_t, T), expected, rtol=0, atol=1e-12)


def test_clamp_is_found_inside_what_is_bound_to_a_batch(x_t):
    known = ConstantDenoiser(torch.full((3, 1, 4, 5), 0.99, dtype=DOUBLE))
    bound = ConditionedDenoiser(NetworkDenoiser(KnownNetwork(known, "sample"), known.schedule, "sample"), {})
    assert guided(bound, Slope(-1.0), scale=50.0)(x_t, T).max() == 1


def test_unguided_is_the_denoiser_inside(x_t):
    inner = GaussianDenoiser()
    assert guided(guided(inner, Slope()), Slope()).without_guidance().plain is inner


def test_conditions_are_passed_on_where_there_are_any():
    inner = GaussianDenoiser()
    image = torch.rand(2, 1, 3, 4)
    assert guided(inner, Slope()).conditions(image, image) == {}
    assert guided(inner, Slope()).reference(image) is image
    inner.conditions = lambda image, mask: {"embedding": image.flatten(1)}
    wrapped = guided(EncoderCondition("mirror")(inner), Slope())
    assert torch.equal(wrapped.reference(image), image.flip(3))
    assert torch.equal(wrapped.conditions(image, image)["embedding"], image.flatten(1))


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf"), [], [1.0, -0.5], [float("nan")]])
def test_scale_below_zero_or_not_finite_raises(scale):
    with pytest.raises(ValueError, match="expected a scale that is finite and at least 0"):
        GUIDANCES.build("classifier", scale=scale)


@pytest.mark.parametrize("levels", [[3], [5, 4], [0, 4], [1, 2, 3]])
def test_levels_that_are_no_range_raise(levels):
    with pytest.raises(ValueError, match="expected levels as lowest and highest"):
        GUIDANCES.build("classifier", levels=levels)


def test_gradient_that_is_not_finite_names_level_and_item(x_t):
    wrapped = guided(GaussianDenoiser(), Slope(bad=299), scale=[0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"expected a finite gradient .* got nan at level 300 of item 1"):
        wrapped(x_t, T)


def test_gradient_is_not_asked_for_where_nothing_acts(x_t):
    wrapped = guided(GaussianDenoiser(), Slope(bad=299), scale=[1.0, 0.0, 1.0])
    assert wrapped(x_t, T).isfinite().all()


def test_classifier_of_other_scans_or_classes_raises(x_t):
    two = Classifier(in_channels=2, channels=[8])
    with pytest.raises(ValueError, match="classifier of scans with 1 channels, got one of 2 channels"):
        guided(GaussianDenoiser(), two)(x_t, T)
    with pytest.raises(ValueError, match="expected a target among the 2 classes of the classifier, got 2"):
        guided(GaussianDenoiser(), two, target=2)
    with pytest.raises(ValueError, match="expected a target among the 2 classes of the classifier, got 5"):
        guided(GaussianDenoiser(), Slope(), target=5)(x_t, T)
    with pytest.raises(ValueError, match="target class of at least 0, got -1"):
        GUIDANCES.build("classifier", target=-1)
    with pytest.raises(ValueError, match=r"expected logits \(3, K\) of the classifier, got \(3, 1, 4, 5\)"):
        guided(GaussianDenoiser(), lambda x, labels: x)(x_t, T)


def test_classifier_comes_from_the_pipeline_unless_one_is_given(x_t):
    given, theirs = Slope(0.3), Slope(0.1)
    for own, used in ((None, theirs), (given, given)):
        guidance = GUIDANCES.build("classifier", classifier=own)
        attach_networks(guidance, {"network": nn.Identity(), "classifier": theirs})
        guidance(GaussianDenoiser())(x_t, T)
        assert used.forwards == 1


def test_classifier_comes_from_a_folder(x_t, tmp_path):
    network = Classifier(channels=[8], layers=1, groups=4).eval()
    network.save_pretrained(tmp_path)
    answers = [guided(GaussianDenoiser(), c)(x_t.float(), T) for c in (network, str(tmp_path))]
    assert torch.equal(*answers)


def test_absence_of_a_classifier_says_how_to_give_one():
    guidance = GUIDANCES.build("classifier")
    attach_networks(guidance, {"network": nn.Identity()})
    with pytest.raises(ValueError, match="guidance 'classifier' expected a trained classifier, got none"):
        guidance(GaussianDenoiser())


def test_classifier_in_half_precision_has_gradients_in_single():
    """What a classifier that is nearly sure has to say is below the smallest number of half precision."""
    torch.manual_seed(0)
    narrow = Classifier(channels=(8, 8), layers=1, groups=4, attention=False).eval()
    for weights in narrow.parameters():
        torch.nn.init.normal_(weights, std=0.05)
    torch.nn.init.constant_(narrow.head.out.bias, 0.0)
    with torch.no_grad():
        narrow.head.out.bias[0] = 12.0
    narrow = nn.Module.half(narrow)
    wide = nn.Module.float(Classifier(**dict(narrow.config)).eval())
    wide.load_state_dict({k: v.float() for k, v in narrow.state_dict().items()})
    x, t = torch.randn(2, 1, 16, 16), torch.tensor([20, 300])
    found, expected = (guided(GaussianDenoiser(), c, scale=100.0)(x, t) for c in (narrow, wide))
    assert torch.equal(found, expected)
    assert not torch.equal(found, GaussianDenoiser()(x, t))
    assert {p.dtype for p in narrow.parameters()} == {torch.float16}


def test_scale_zero_needs_no_classifier(x_t):
    inner = GaussianDenoiser()
    assert torch.equal(GUIDANCES.build("classifier", scale=0.0)(inner)(x_t, T), inner(x_t, T))


def test_published_clamp_holds_under_the_published_sampler(x_t):
    """Both directions clamp the estimate, and the move that follows is not clamped."""
    known = GaussianDenoiser(3.0)
    network = KnownNetwork(known)
    inversion = Inversion(600, 4)
    inner = NetworkDenoiser(network, known.schedule)
    sampled = [
        inversion(
            x_t, guided(inner, Slope(), scale=4.0, reference=reference), None, generator=[None] * 3
        ).image
        for reference in (True, False)
    ]
    assert not torch.allclose(*sampled)
    torch.testing.assert_close(sampled[0], published(x_t, inner, 4.0, inversion.levels), rtol=0, atol=1e-10)


def published(x, denoiser, scale, levels):
    """Encode by clamped estimates, and decode by clamped estimates that are then moved; DDIM both ways."""
    schedule, x_t = denoiser.schedule, x
    for s, t in pairwise(reversed(levels)):
        x_t = turned(x_t, denoiser(x_t, torch.tensor(t)), t, s, t, schedule)
    for t, s in pairwise(levels):
        abar = schedule.alpha_bar(t)
        x_hat = denoiser(x_t, torch.tensor(t)) + scale * (1 - abar) / abar.sqrt() * gradient(x_t)
        x_t = turned(x_t, x_hat, t, t, s, schedule)
    return x_t


def turned(x, x_hat, label, t, s, schedule):
    """Turn a state of level t into one of level s along the noise that an estimate at a label implies."""
    abar = {level: schedule.alpha_bar(level) for level in (label, t, s)}
    epsilon = (x - abar[label].sqrt() * x_hat) / (1 - abar[label]).sqrt()
    ratio = (abar[s] / abar[t]).sqrt()
    return ratio * x + ((1 - abar[s]).sqrt() - ratio * (1 - abar[t]).sqrt()) * epsilon
