"""What every part that holds parts promises: what the parts inside can do is handed on, or refused by name.

A part is a composite if it has an option that takes a part; such options are found by their type, and the
test that lists them says which has no row.
"""

import inspect
import re
from dataclasses import dataclass

import pytest
import torch

from diffad.capabilities import (
    attach_networks,
    begin_run,
    begin_saliency,
    list_parts,
    restrict_to_region,
    takes_region,
    wants_records,
)
from diffad.protocols import CalibratesThreshold, Composite
from diffad.registry import SALIENCIES, SAMPLERS, SCORES
from diffad.samplers.examples import make_example
from diffad.types import Example, Reconstruction, StepRecord
from tests.helpers.toys import GaussianDenoiser, linear_schedule, white_noise

X = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0)) * 2 - 1
MASK = torch.ones(2, 1, 9, 9)
SCHEDULE = linear_schedule()


class Networked:
    """A part that keeps the networks it is handed."""

    networks = None

    def attach_networks(self, networks):
        self.networks = networks


class InnerSampler(Networked):
    """A sampler that leaves the scan, and says what it met: every capability in one."""

    fpr = 0.1
    threshold = None

    def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
        assert len(generator) == len(x)
        if on_step is not None:
            on_step(StepRecord(7, 0, x, x, x, map=x[:, :1] * 0 + 0.5))
        return Reconstruction(x.clone(), nfe=1, map=x[:, :1], reference=x + 1)

    def example(self, x, mask, t, noise, schedule, generator):
        return Example(x, x + 2, x + 3)

    def calibrated(self):
        return False

    def calibrating(self):
        return self, InnerScore()


@dataclass
class Regional(InnerSampler):
    """A sampler that takes a region, and shows it."""

    region: torch.Tensor | None = None

    def restricted_to(self, region):
        return Regional(region)

    def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
        result = super().__call__(x, denoiser, noise, generator=generator, mask=mask, on_step=on_step)
        return result if self.region is None else Reconstruction(x + self.region, nfe=1, map=self.region)


class InnerScore(Networked):
    """A score that counts what it meets, and knows the schedule from ``begin`` alone."""

    def __init__(self):
        self.records, self.schedule = [], None

    def begin(self, x, schedule):
        self.schedule = schedule
        return self

    def record(self, step):
        self.records.append(step)

    def map(self, x, restoration, mask=None):
        assert self.schedule is not None
        return x[:, :1].abs()

    def __call__(self, x, restoration, mask=None):
        raise AssertionError("expected the run that began")


class InnerSaliency(Networked):
    """A saliency that asks the network."""

    def __init__(self):
        self.begun = 0

    def begin(self, denoiser, noise, generator):
        self.begun += len(generator)
        return lambda x, mask=None: x


KINDS = {"sampler": InnerSampler, "score": InnerScore, "saliency": InnerSaliency}
SMALL = {"level": 20, "steps": 2}
# registry, name, options that make it small, option of a part, kind of part, whether it takes several
ROWS = {
    ("ensemble", "inner"): (SAMPLERS, {"members": 2}, "sampler", False),
    ("ensemble", "samplers"): (SAMPLERS, {"members": 2}, "sampler", True),
    ("patched", "inner"): (SAMPLERS, {"box": 4}, "sampler", False),
    ("itermask", "score"): (SAMPLERS, {"threshold": 0.0}, "score", False),
    ("resampled", "coarse"): (SAMPLERS, {**SMALL, "score": {"name": "l1"}, "dilate": 1}, "sampler", False),
    ("resampled", "score"): (SAMPLERS, {**SMALL, "coarse": InnerSampler(), "dilate": 1}, "score", False),
    ("fusion", "saliency"): (SAMPLERS, SMALL, "saliency", False),
    ("harmonised", "score"): (SAMPLERS, {**SMALL, "harmonise": [10], "watch": [20]}, "score", False),
    ("restored", "sampler"): (SALIENCIES, {}, "sampler", False),
    ("restored", "score"): (SALIENCIES, {"sampler": InnerSampler()}, "score", False),
    ("mean", "scores"): (SCORES, {}, "score", True),
    ("product", "scores"): (SCORES, {}, "score", True),
    ("rebuilt", "score"): (SCORES, {}, "score", False),
    ("temporal", "score"): (SCORES, {}, "score", False),
}
CASES = [pytest.param(*key, id=" ".join(key)) for key in ROWS]


def build(name, option, part=None):
    """Return a composite around a part, and the part."""
    registry, options, kind, several = ROWS[name, option]
    part = KINDS[kind]() if part is None else part
    return registry.build(name, **options, **{option: [part] if several else part}), part


def kinds(*names):
    return pytest.mark.parametrize(
        ("name", "option"), [pytest.param(*k, id=" ".join(k)) for k, row in ROWS.items() if row[2] in names]
    )


def rng(count=2):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def run(part, x=X, **options):
    """Run a sampler."""
    return part(x, GaussianDenoiser(), white_noise, generator=rng(len(x)), **options)


def use(name, composite, on_step=None):
    """Put a composite to use, whatever it is."""
    registry = next(row[0] for key, row in ROWS.items() if key[0] == name)
    if registry is SAMPLERS:
        return run(composite, mask=MASK, on_step=on_step)
    if registry is SALIENCIES:
        return begin_saliency(composite, GaussianDenoiser(), white_noise, rng())(X / 2 + 0.5, MASK)
    records = begin_run(composite, X, SCHEDULE)
    assert wants_records(records)
    records.record(StepRecord(7, 0, X, X, X))
    return records.map(X / 2 + 0.5, Reconstruction(X / 2 + 0.5, nfe=1), MASK)


def options_of_parts(registry):
    """Options of a registry's parts whose types name a part."""
    for name in registry:
        for option, parameter in inspect.signature(registry[name]).parameters.items():
            if re.search(r"\b(Sampler|AnomalyScore|Saliency|Part)\b", str(parameter.annotation)):
                yield name, option


def test_every_option_that_takes_a_part_has_a_row():
    pairs = (pair for registry in (SAMPLERS, SALIENCIES, SCORES) for pair in options_of_parts(registry))
    assert set(pairs) == set(ROWS)


@pytest.mark.parametrize(("name", "option"), CASES)
def test_children_are_listed_by_their_option(name, option):
    composite, part = build(name, option)
    assert isinstance(composite, Composite)
    places = {id(member): place for place, member in list_parts(composite)}
    assert places[id(part)] == ((option, 0) if ROWS[name, option][3] else (option,))
    assert places[id(composite)] == ()


@pytest.mark.parametrize(("name", "option"), CASES)
def test_networks_reach_the_parts_inside(name, option):
    composite, part = build(name, option)
    attach_networks(composite, {"classifier": 1})
    assert part.networks == {"classifier": 1}


@kinds("score")
def test_score_inside_knows_the_schedule_of_its_run(name, option):
    composite, part = build(name, option)
    use(name, composite)
    assert part.schedule.num_levels == SCHEDULE.num_levels


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("rebuilt", "score"),
        ("resampled", "score"),
        ("restored", "score"),
        ("mean", "scores"),
        ("product", "scores"),
    ],
)
def test_score_inside_sees_the_moves_of_the_sampler(name, option):
    composite, part = build(name, option)
    use(name, composite)
    assert [(step.t, step.s) for step in part.records] == [(7, 0)]


@kinds("saliency")
def test_saliency_inside_is_given_what_it_asks_with(name, option):
    composite, part = build(name, option)
    use(name, composite)
    assert part.begun == len(X)


def sampler_rows(*, but=()):
    rows = {key for key, row in ROWS.items() if row[0] is SAMPLERS and row[2] == "sampler"}
    return pytest.mark.parametrize(("name", "option"), sorted(key for key in rows if key[0] not in but))


@sampler_rows()
def test_maps_of_records_are_handed_on(name, option):
    records = []
    composite, _ = build(name, option)
    use(name, composite, records.append)
    maps = [record.map for record in records if record.t == 7]
    assert maps
    for found in maps:
        torch.testing.assert_close(found, torch.full_like(X, 0.5))


@sampler_rows(but=["resampled"])  # which compares with its coarse reconstruction, and makes a map of its own
def test_map_and_reference_beside_the_reconstruction_are_handed_on(name, option):
    result = use(name, build(name, option)[0])
    torch.testing.assert_close(result.map, X)
    torch.testing.assert_close(result.reference, X + 1)


@sampler_rows()
def test_training_examples_are_those_of_the_sampler_inside(name, option):
    example = make_example(
        build(name, option)[0], X, MASK, torch.tensor([5, 5]), white_noise, SCHEDULE, rng()
    )
    assert torch.equal(example.z, example.x + 2)
    assert example.x_t.shape == X.shape


@kinds("sampler")
def test_threshold_of_the_sampler_inside_is_found(name, option):
    composite, part = build(name, option)
    uncalibrated = [p for _, p in list_parts(composite) if isinstance(p, CalibratesThreshold)]
    assert any(p is part for p in uncalibrated)


REGION = torch.zeros(2, 1, 9, 9)
REGION[0, :, 2:4, 2:4], REGION[1, :, 5:8, 1:3] = 1, 1


@sampler_rows(but=["patched", "resampled"])
def test_region_is_handed_to_the_sampler_inside(name, option):
    composite, _ = build(name, option, Regional())
    assert takes_region(composite)
    result = run(restrict_to_region(composite, REGION))
    torch.testing.assert_close(result.image, X + REGION)
    torch.testing.assert_close(result.map, REGION)
    assert not torch.equal(run(composite).image, result.image)


@sampler_rows(but=["patched", "resampled"])
def test_region_for_a_sampler_that_cannot_is_refused_by_its_name(name, option):
    composite, _ = build(name, option)
    assert not takes_region(composite)
    with pytest.raises(ValueError, match="no region, as sampler InnerSampler changes the whole image"):
        restrict_to_region(composite, REGION)


def test_patches_refuse_a_region_and_a_sampler_that_takes_one():
    with pytest.raises(ValueError, match="expected no region, as sampler Patched changes the whole image"):
        restrict_to_region(build("patched", "inner")[0], REGION)
    with pytest.raises(ValueError, match="renews all of a box, got Regional, which picks a region"):
        build("patched", "inner", Regional())


def test_region_of_the_outer_sampler_is_not_that_of_its_coarse_one():
    composite, _ = build("resampled", "coarse", Regional())
    result = run(restrict_to_region(composite, REGION), mask=MASK)
    assert torch.equal(result.image != X, REGION.bool())


def test_composites_inside_composites_hand_on_as_well():
    part = Regional()
    nested = SAMPLERS.build(
        "ensemble", members=2, inner=SAMPLERS.build("ensemble", members=3, samplers=[part, Regional()])
    )
    attach_networks(nested, {"network": 1})
    assert part.networks == {"network": 1}
    torch.testing.assert_close(run(restrict_to_region(nested, REGION)).image, X + REGION)
    boxes = SAMPLERS.build("ensemble", inner=SAMPLERS.build("patched", box=4, inner=InnerSampler()))
    torch.testing.assert_close(run(boxes).reference, X + 1)
    assert next(place for place, p in list_parts(boxes) if isinstance(p, InnerSampler)) == ("inner", "inner")


class Former:
    """A sampler of another distribution, with the former names of its methods."""

    def __init__(self, region=None):
        self.region, self.networks = region, None

    def equip(self, networks):
        self.networks = networks

    def within(self, region):
        return Former(region)

    def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
        return Reconstruction(x if self.region is None else x + self.region, nfe=1)


@pytest.mark.parametrize("wrap", [lambda part: part, lambda part: SAMPLERS.build("ensemble", inner=part)])
def test_former_names_of_methods_work_with_a_warning(wrap):
    part = Former()
    with pytest.warns(DeprecationWarning, match=r"Former.equip is called attach_networks now"):
        attach_networks(wrap(part), {"network": 1})
    assert part.networks == {"network": 1}
    with pytest.warns(DeprecationWarning, match=r"Former.within is called restricted_to now"):
        restricted = restrict_to_region(wrap(part), REGION)
    torch.testing.assert_close(run(restricted).image, X + REGION)
    with pytest.raises(ValueError, match="renews all of a box, got Former"):
        SAMPLERS.build("patched", inner=wrap(part))
