"""What every registered guidance promises; a new one adds its row to OPTIONS."""

import inspect

import pytest
import torch
from torch import nn

from diffad.denoise import bind
from diffad.protocols import Denoiser, Guidance
from diffad.registry import GUIDANCES
from tests.helpers.toys import GaussianDenoiser


class Judge(nn.Module):
    """A toy classifier that finds bright images diseased, each by itself to the last bit."""

    def forward(self, x_t, labels):
        found = torch.stack([item.sum() for item in x_t])
        return torch.stack([-found, found], 1)

    def __repr__(self):
        return "judge"


JUDGE = Judge()
# rows of options: one or more for each guidance
OPTIONS = {
    "classifier": [
        {"classifier": JUDGE, **more}
        for more in ({}, {"scale": 0.0}, {"target": 1, "levels": [200, 400]}, {"reference": True})
    ],
    "classifier_free": [{}, {"scale": 0.0}, {"scale": 1.0, "target": 1}, {"scale": 2.0, "base": 1}],
    "condition_free": [{}, {"scale": 0.0}, {"scale": 1.0}, {"scale": 2.0, "condition": "place"}],
    "encoder": [{}, *({"source": s} for s in ("mirror", "neighbour", "shuffled", "zero"))],
}
CASES = [(name, options) for name in GUIDANCES for options in OPTIONS.get(name, [{}])]
# options with which an item is steered by other items of its stack, as these are for
TOGETHER = [{"source": "neighbour"}, {"source": "shuffled"}]
SHAPES = {"2-D": (3, 2, 8, 6), "3-D": (3, 1, 4, 6, 5)}


class Told(GaussianDenoiser):
    """A toy that is told an image, its mean, its place and perhaps its class, and shows all in its answer."""

    null = 2
    takes_place = True

    def conditions(self, image, mask):
        place = torch.tensor([2.0, 0.5]).expand(len(image), 2)
        return {"embedding": image.flatten(1).mean(1, keepdim=True), "image": image, "place": place}

    def __call__(self, x_t, t, **told):
        answer = super().__call__(x_t, t)
        for value in told.values():
            mean = torch.stack([item.float().mean() for item in value])
            answer = answer + mean.reshape(-1, *(1 for _ in x_t.shape[1:]))
        return answer


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return request.param


@pytest.fixture
def guidance(case):
    name, options = case
    return GUIDANCES.build(name, **options)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def x(request):
    return torch.rand(request.param, generator=torch.Generator().manual_seed(9))


T = torch.tensor([5, 300, 900])


def steered(guidance, x, t):
    """Denoise ``x`` in [0, 1] as a detector does: told of the stack's references."""
    denoiser = guidance(Told())
    cond = denoiser.conditions(denoiser.reference(x), torch.ones_like(x[:, :1]))
    return bind(denoiser, cond)(x * 2 - 1, t)


def test_every_guidance_has_a_row_of_options():
    assert set(OPTIONS) == set(GUIDANCES)


def test_guidance_and_what_it_wraps_follow_their_protocols(guidance):
    assert isinstance(guidance, Guidance)
    assert isinstance(guidance(Told()), Denoiser)


def test_schedule_is_that_of_the_denoiser(guidance):
    inner = Told()
    assert guidance(inner).schedule is inner.schedule


def test_answer_has_the_shape_of_the_state_and_is_finite(guidance, x):
    answer = steered(guidance, x, T)
    assert answer.shape == x.shape
    assert answer.isfinite().all()


def test_same_state_gives_the_same_answer(guidance, x):
    assert torch.equal(steered(guidance, x, T), steered(guidance, x, T))


def test_item_alone_equals_item_in_batch(case, guidance, x):
    if case[1] in TOGETHER:
        with pytest.raises(ValueError, match="expected at least 2 images"):
            steered(guidance, x[:1], T[:1])
        return
    together = steered(guidance, x, T)
    for i in range(len(x)):
        assert torch.equal(steered(guidance, x[i : i + 1], T[i : i + 1])[0], together[i])


def test_states_and_levels_are_not_changed(guidance, x):
    before = x.clone(), T.clone()
    steered(guidance, x, T)
    assert torch.equal(x, before[0])
    assert torch.equal(T, before[1])


def test_one_guidance_serves_many_denoisers(guidance, x):
    inner, other = Told(), Told()
    first, _ = guidance(inner), guidance(other)
    first(x, T)
    assert (inner.calls, other.calls) == (1, 0)


def test_options_are_public_attributes(case, guidance):
    name, options = case
    defaults = {p.name: p.default for p in inspect.signature(GUIDANCES[name]).parameters.values()}
    assert {k: getattr(guidance, k) for k in defaults} == {**defaults, **options}
