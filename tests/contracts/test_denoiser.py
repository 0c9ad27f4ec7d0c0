"""What every wrapper of a denoiser promises: whatever it does not change is handed on.

A new capability of ``Denoiser`` and a new subclass of ``DenoiserWrapper`` are found here by themselves; the
test that lists them says what is missing.
"""

import inspect
import pkgutil
from importlib import import_module

import pytest
import torch

import diffad.guidance
import diffad.samplers
from diffad.denoise import (
    ClampedDenoiser,
    ConditionedDenoiser,
    DenoiserWrapper,
    GuidedDenoiser,
    NetworkDenoiser,
    PlainDenoiser,
    as_denoiser,
)
from diffad.guidance.classifier import ClassifierGuidedDenoiser
from diffad.guidance.conditions import FreedDenoiser
from diffad.guidance.encoder import ReferenceDenoiser
from diffad.guidance.free import ContrastedDenoiser
from diffad.guidance.told import ToldDenoiser
from diffad.protocols import Denoiser
from diffad.samplers.coded import ScaledDenoiser
from diffad.samplers.views import ContextDenoiser
from tests.helpers.toys import linear_schedule

X = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
T = torch.tensor([300, 600])
SCHEDULE = linear_schedule()
ONES = torch.ones(2, 1, 4, 4, dtype=torch.bool)


class Marked(Denoiser):
    """A denoiser of which every capability leaves a mark."""

    def __init__(self, marks=()):
        self.marks = tuple(marks)

    @property
    def schedule(self):
        return SCHEDULE

    @property
    def clamps(self):
        return "without_clamp" not in self.marks

    @property
    def prediction_type(self):
        return "v_prediction"

    @property
    def null_label(self):
        return 7

    @property
    def takes_place(self):
        return True

    @property
    def takes_neighbours(self):
        return 2

    @property
    def takes_whole(self):
        return True

    def estimate(self, x_t, t, **cond):
        return self(x_t, t, **cond), x_t - t.reshape(-1, 1, 1, 1) / 1000

    def __call__(self, x_t, t, **cond):
        x_hat = 3 * x_t + sum(value.float().mean() for value in cond.values())
        return x_hat.clamp(-1, 1) if self.clamps else x_hat

    def without_clamp(self):
        return Marked([*self.marks, "without_clamp"])

    def without_guidance(self):
        return Marked([*self.marks, "without_guidance"])

    def select(self, items):
        return Marked([*self.marks, *(f"item {i}" for i in items.tolist())])

    def conditions(self, image, mask):
        return {"embedding": image.flatten(1).mean(1, keepdim=True)}

    def reference(self, x):
        return x + 1


def judge(x_t, labels):
    total = x_t.flatten(1).sum(1)
    return torch.stack([-total, total], 1)


# each wrapper, and the capabilities that it changes on purpose
WRAPPERS = {
    DenoiserWrapper: (DenoiserWrapper, set()),
    GuidedDenoiser: (GuidedDenoiser, {"without_guidance"}),
    ClampedDenoiser: (ClampedDenoiser, {"without_clamp"}),
    ConditionedDenoiser: (lambda inner: ConditionedDenoiser(inner, {"level": torch.ones(2, 1)}), set()),
    ContextDenoiser: (lambda inner: ContextDenoiser(inner, X, ONES), {"estimate"}),
    ReferenceDenoiser: (lambda inner: ReferenceDenoiser(inner, "mirror"), {"reference"}),
    ClassifierGuidedDenoiser: (
        lambda inner: ClassifierGuidedDenoiser(inner, judge, (2.0, 3.0)),
        {"without_guidance", "estimate"},
    ),
    ToldDenoiser: (lambda inner: ToldDenoiser(inner, 0), set()),
    FreedDenoiser: (lambda inner: FreedDenoiser(inner, 2.0, "place"), {"without_guidance", "estimate"}),
    ScaledDenoiser: (lambda inner: ScaledDenoiser(inner, 1.0, False), set()),
    ContrastedDenoiser: (
        lambda inner: ContrastedDenoiser(inner, 2.0, 0, 1),
        {"without_guidance", "estimate"},
    ),
}
CAPABILITIES = sorted(name for name in vars(Denoiser) if not name.startswith("_"))
REBUILDING = {
    "without_clamp": (("without_clamp",), ()),
    "without_guidance": (("without_guidance",), ()),
    "select": (("item 1", "item 0"), (torch.tensor([1, 0]),)),
}
"""Capabilities that give another denoiser: the marks that the one inside then has, and the arguments."""
TELLING = {
    "schedule": lambda denoiser: denoiser.schedule,
    "clamps": lambda denoiser: denoiser.clamps,
    "prediction_type": lambda denoiser: denoiser.prediction_type,
    "null_label": lambda denoiser: denoiser.null_label,
    "takes_place": lambda denoiser: denoiser.takes_place,
    "takes_neighbours": lambda denoiser: denoiser.takes_neighbours,
    "takes_whole": lambda denoiser: denoiser.takes_whole,
    "conditions": lambda denoiser: denoiser.conditions(X, ONES)["embedding"].tolist(),
    "reference": lambda denoiser: denoiser.reference(X).tolist(),
    "estimate": lambda denoiser: denoiser.estimate(X, T)[1].tolist(),
}
"""Capabilities that tell something."""
CASES = [(kind, name) for kind in WRAPPERS for name in CAPABILITIES if name not in WRAPPERS[kind][1]]


def subclasses(kind):
    return {kind}.union(*(subclasses(sub) for sub in kind.__subclasses__()))


def test_every_wrapper_and_every_capability_has_a_row():
    for package in (diffad.guidance, diffad.samplers):
        for module in pkgutil.iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")
    ours = {kind for kind in subclasses(DenoiserWrapper) if kind.__module__.startswith("diffad.")}
    assert ours == set(WRAPPERS)
    assert set(CAPABILITIES) == {*REBUILDING, *TELLING}


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_every_wrapper_hands_every_capability_on(kind, name):
    inner = Marked()
    wrapper = WRAPPERS[kind][0](inner)
    assert type(wrapper) is kind
    if name in TELLING:
        assert TELLING[name](wrapper) == TELLING[name](inner)
        return
    marks, args = REBUILDING[name]
    rebuilt = getattr(wrapper, name)(*args)
    assert type(rebuilt) is kind
    assert rebuilt.inner.marks == marks
    assert wrapper.inner is inner


@pytest.mark.parametrize("outer", WRAPPERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("kind", WRAPPERS, ids=lambda kind: kind.__name__)
def test_pairs_of_wrappers_hand_on_what_neither_changes(outer, kind):
    changed = WRAPPERS[outer][1] | WRAPPERS[kind][1]
    if outer is kind is ConditionedDenoiser:
        changed = changed | {"estimate"}  # both would name the same condition
    both = WRAPPERS[outer][0](WRAPPERS[kind][0](Marked()))
    for name in set(REBUILDING) - changed:
        marks, args = REBUILDING[name]
        assert getattr(both, name)(*args).inner.inner.marks == marks
    for name in set(TELLING) - changed:
        assert TELLING[name](both) == TELLING[name](Marked())


@pytest.mark.parametrize("kind", WRAPPERS, ids=lambda kind: kind.__name__)
def test_wrapper_of_what_needs_no_change_stays_itself(kind):
    wrapper = WRAPPERS[kind][0](Bare())
    changed = WRAPPERS[kind][1]
    for name in {"without_clamp", "without_guidance"} - changed:
        assert getattr(wrapper, name)() is wrapper


@pytest.mark.parametrize("kind", WRAPPERS, ids=lambda kind: kind.__name__)
def test_selected_states_are_denoised_as_in_their_batch(kind):
    wrapper = WRAPPERS[kind][0](NetworkDenoiser(lambda x_t, labels, **cond: 0.1 * x_t, linear_schedule()))
    stack, levels = torch.cat([X, X + 1]), torch.cat([T, T])
    items = torch.tensor([3, 0, 2])
    chosen = wrapper.select(items)(stack[items], levels[items])
    torch.testing.assert_close(chosen, wrapper(stack, levels)[items])


@pytest.mark.parametrize("kind", WRAPPERS, ids=lambda kind: kind.__name__)
def test_answer_without_the_clamp_leaves_the_range(kind):
    wrapper = WRAPPERS[kind][0](Marked())
    free = wrapper.without_clamp()
    assert bool((free(X + 1, T).abs() > 1).any()) is not free.clamps
    assert wrapper.clamps
    assert wrapper(X + 1, T).abs().max() <= 1 or kind is ContextDenoiser  # whose context is the scan itself


class Bare:
    """All that there must be: a schedule and a call."""

    schedule = linear_schedule()

    def __call__(self, x_t, t, **cond):
        return x_t


class Former(Bare):
    """A denoiser with the former names of its methods."""

    clip, null = True, 3

    def unclipped(self):
        return Bare()

    def unguided(self):
        return Marked(["unguided"])

    def taken(self, items):
        return Marked(items.tolist())

    def conditions(self, image, mask):
        return {"embedding": image}

    def reference(self, x):
        return -x


class PlainWrapper(Bare):
    """A wrapper of another distribution that says nothing of what it wraps."""

    def __init__(self, denoiser):
        self.denoiser = denoiser


def test_plain_denoiser_has_every_default():
    denoiser = as_denoiser(Bare())
    assert isinstance(denoiser, PlainDenoiser)
    assert as_denoiser(denoiser) is denoiser
    assert denoiser.schedule is Bare.schedule
    assert torch.equal(denoiser(X, T), X)
    assert (denoiser.clamps, denoiser.prediction_type, denoiser.null_label) == (False, None, None)
    assert denoiser.conditions(X, ONES) == {}
    assert denoiser.reference(X) is X
    for same in (denoiser.without_clamp(), denoiser.without_guidance(), denoiser.select(T)):
        assert same is denoiser


def test_plain_denoiser_is_understood_by_former_names():
    denoiser = as_denoiser(Former())
    assert isinstance(denoiser.without_clamp().plain, Bare)
    assert denoiser.without_guidance().marks == ("unguided",)
    assert denoiser.select(torch.tensor([1])).marks == (1,)
    assert (denoiser.clamps, denoiser.null_label) == (True, 3)
    assert torch.equal(denoiser.conditions(X, ONES)["embedding"], X)
    assert torch.equal(denoiser.reference(X), -X)


def test_plain_wrapper_tells_of_the_denoiser_inside():
    denoiser = as_denoiser(PlainWrapper(Marked()))
    assert denoiser.estimate(X, T)[1] is None
    for tell in TELLING.values():
        if tell not in (TELLING["schedule"], TELLING["estimate"]):
            assert tell(denoiser) == tell(Marked())


def test_former_functions_work_on_any_denoiser():
    from diffad.denoise import taken, unclipped, unguided

    assert unclipped(Marked()).marks == ("without_clamp",)
    assert unguided(Former()).marks == ("unguided",)
    assert taken(Former(), torch.tensor([1])).marks == (1,)


def test_wrapper_of_another_distribution_may_keep_values_of_its_own():
    class Scaled(DenoiserWrapper):
        def __init__(self, inner, by):
            super().__init__(inner)
            self.by = by

        def __call__(self, x_t, t, **cond):
            return self.by * self.inner(x_t, t, **cond)

    scaled = Scaled(Marked(), 0.5)
    free = scaled.without_clamp()
    assert (type(free), free.by, free.inner.marks) == (Scaled, 0.5, ("without_clamp",))
    assert torch.equal(free(X, T), 1.5 * X)
    assert list(inspect.signature(Scaled).parameters) == ["inner", "by"]


@pytest.mark.parametrize("kind", WRAPPERS, ids=lambda kind: kind.__name__)
def test_estimate_of_a_wrapper_is_its_own_answer(kind):
    wrapper = WRAPPERS[kind][0](Marked())
    x_hat, marks = wrapper.estimate(X, T)
    torch.testing.assert_close(x_hat, wrapper(X, T))
    assert (marks is None) == ("estimate" in WRAPPERS[kind][1])
