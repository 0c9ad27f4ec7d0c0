"""Parts are reached by name only, and a slip in a name is answered with the name that was meant."""

import re
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from diffad import registry
from diffad.registry import (
    CORRUPTIONS,
    DATASETS,
    GUIDANCES,
    MODELS,
    NOISES,
    SAMPLERS,
    SCORES,
    NameClashError,
    Registry,
    UnknownNameError,
)
from diffad.schedule import Schedule
from diffad.types import Reconstruction

CONTRIBUTING = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
ALL = [NOISES, SAMPLERS, GUIDANCES, SCORES, MODELS, DATASETS, CORRUPTIONS]


class Flat:
    """A part with two options."""

    def __init__(self, *, value=1.0, octaves=6):
        self.value = value
        self.octaves = octaves


class Entry:
    """An entry point of another distribution; counts how often it was loaded."""

    dist = SimpleNamespace(name="their-package")

    def __init__(self, name, part):
        self.name, self.value = name, "their.module:Part"
        self.part = part
        self.loads = 0

    def load(self):
        self.loads += 1
        if isinstance(self.part, Exception):
            raise self.part
        return self.part


@pytest.fixture
def parts(monkeypatch):
    """A registry of our own: its package registers nothing, and no distribution adds to it."""
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    own = Registry("noise", "diffad.registry")
    own.register("flat")(Flat)
    return own


def test_name_of_two_parts_is_an_error_for_who_asks_for_it_and_names_both(parts):
    parts.register("other")(Entry)
    parts.register("flat")(object)
    with pytest.raises(NameClashError) as error:
        parts.build("flat")
    message = str(error.value)
    assert "noise 'flat' is claimed twice" in message
    assert f"Flat ({__file__})" in message
    assert "builtins.object; rename one of them" in message
    assert parts["other"] is Entry
    assert list(parts) == ["flat", "other"]
    assert "flat" in parts


def test_part_that_registers_twice_is_one_part(parts):
    parts.register("flat")(Flat)
    assert parts["flat"] is Flat


def test_newer_copy_of_a_part_takes_the_place_of_the_older(parts):
    copy = type("Flat", (), {"__module__": Flat.__module__, "__qualname__": Flat.__qualname__})
    parts.register("flat")(copy)
    assert parts["flat"] is copy


def test_one_file_under_two_module_names_is_one_part(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "alias", SimpleNamespace(__file__=__file__))
    copy = type("Flat", (), {"__module__": "alias", "__qualname__": Flat.__qualname__})
    parts.register("flat")(copy)
    assert parts["flat"] is copy
    monkeypatch.setitem(sys.modules, "alias", SimpleNamespace(__file__="elsewhere.py"))
    parts.register("flat")(Flat)
    with pytest.raises(NameClashError, match=r"alias\.Flat"):
        parts["flat"]


def test_register_returns_the_class_unchanged(parts):
    assert parts.register("other")(Flat) is Flat


def test_unknown_name_lists_the_known_and_the_closest(parts):
    parts.register("simplex")(Flat)
    with pytest.raises(UnknownNameError) as error:
        parts.build("simplx")
    message = str(error.value)
    assert "unknown noise 'simplx'" in message
    assert "did you mean 'simplex'?" in message
    assert "Known: flat, simplex" in message


def test_name_unlike_any_other_gets_no_suggestion(parts):
    with pytest.raises(UnknownNameError) as error:
        parts.build("zzz")
    assert "did you mean" not in str(error.value)
    assert "Known: flat" in str(error.value)


def test_unknown_option_raises_with_the_closest(parts):
    with pytest.raises(UnknownNameError) as error:
        parts.build("flat", octave=3)
    message = str(error.value)
    assert "noise 'flat'" in message
    assert "'octave'" in message
    assert "did you mean 'octaves'?" in message


def test_open_ended_part_takes_any_option(parts):
    parts.register("open")(lambda **options: options)
    assert parts.build("open", anything=3) == {"anything": 3}


def test_part_is_built_from_yaml(parts):
    spec = yaml.safe_load("{name: flat, value: 2.5, octaves: 3}")
    part = parts.build(**spec)
    assert (part.value, part.octaves) == (2.5, 3)


@pytest.mark.parametrize("path", ["os.system", "diffad.noise.simplex", "torch:load", "__import__"])
def test_yaml_cannot_reach_an_import_path(parts, path):
    with pytest.raises(UnknownNameError):
        parts.build(**yaml.safe_load(f"name: '{path}'"))


def test_names_come_sorted(parts):
    for name in ("zeta", "alpha"):
        parts.register(name)(Flat)
    assert list(parts) == ["alpha", "flat", "zeta"]


def test_other_distributions_register_through_entry_points(monkeypatch):
    entries = {"diffad.noises": [Entry("perlin", Flat)]}
    monkeypatch.setattr(registry, "entry_points", lambda group: entries.get(group, []))
    noises, samplers = Registry("noise", "diffad.registry"), Registry("sampler", "diffad.registry")
    assert isinstance(noises.build("perlin", value=3.0), Flat)
    assert "perlin" in noises
    assert "perlin" not in samplers
    assert entries["diffad.noises"][0].loads == 1


def test_an_entry_point_with_one_of_our_names_costs_that_name_only(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry("flat", object)])
    own = Registry("noise", "diffad.registry")
    own.register("flat")(Flat)
    own.register("other")(Flat)
    for _ in range(2):
        with pytest.raises(
            NameClashError, match=r"noise 'flat' is claimed twice, by .*Flat .* builtins\.object"
        ):
            own["flat"]
    assert own["other"] is Flat
    assert list(own) == ["flat", "other"]


def test_part_by_decorator_and_by_entry_point_is_one_part(monkeypatch):
    own = Registry("noise", "diffad.registry")
    own.register("flat")(Flat)
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry("flat", Flat)])
    assert own["flat"] is Flat


def test_entry_point_that_cannot_be_loaded_is_a_warning_that_names_its_package(monkeypatch, capsys):
    broken = Entry("broken", ImportError("no module\nnamed x"))
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken, Entry("good", Flat)])
    own = Registry("noise", "diffad.registry")
    assert list(own) == ["good"]
    assert capsys.readouterr().err == (
        "warning: noise 'broken' of their-package (their.module:Part) cannot be loaded:"
        " ImportError: no module named x\n"
    )
    with pytest.raises(UnknownNameError, match="unknown noise 'broken'"):
        own["broken"]


def test_unknown_part_says_how_one_of_your_own_comes(parts):
    with pytest.raises(UnknownNameError, match=r"Known: flat\. A part of your own comes with --plugin FILE"):
        parts["mine"]


def test_a_package_that_fails_to_import_says_so_every_time(monkeypatch):
    own = Registry("noise", "diffad.no_such_package")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="no_such_package"):
            own["flat"]


def test_package_is_imported_on_the_first_look_up_only(monkeypatch):
    imported = []
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    monkeypatch.setattr(registry.importlib, "import_module", imported.append)
    lazy = Registry("noise", "some.package")
    assert imported == []
    assert list(lazy) == []
    assert "flat" not in lazy
    assert imported == ["some.package"]


@pytest.mark.parametrize("registered", [NOISES, SAMPLERS, SCORES, MODELS], ids=lambda r: r.kind)
def test_registry_of_the_package_is_filled_and_its_parts_explain_themselves(registered):
    names = list(registered)
    assert names
    assert [name for name in names if not registered[name].__doc__] == []


@pytest.mark.parametrize("registered", ALL, ids=lambda r: r.kind)
def test_every_registry_answers_an_unknown_name_with_one_error(registered):
    with pytest.raises(UnknownNameError, match=f"unknown {registered.kind} 'no such part'"):
        registered.build("no such part")


def worked_examples():
    return re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL)


@pytest.fixture
def with_examples():
    """The registries with the parts of CONTRIBUTING.md in them, for one test only."""
    with ExitStack() as scopes:
        for registry in ALL:
            scopes.enter_context(registry.scope())
        for block in worked_examples():
            exec(compile(block, str(CONTRIBUTING), "exec"), {"__name__": "example"})
        yield


@pytest.mark.usefixtures("with_examples")
def test_noise_of_contributing_is_a_checkerboard_of_its_own_for_each_generator(generators):
    noise = NOISES.build("checker", size=2)
    z = noise(torch.zeros(2, 2, 8, 8, 8), generator=generators(1, 2))
    assert set(z.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(z[..., :-2], -z[..., 2:])
    assert torch.equal(z[1:], noise(torch.zeros(1, 2, 8, 8, 8), generator=generators(2)))


@pytest.mark.usefixtures("with_examples")
def test_sampler_and_guidance_of_contributing_average_what_the_denoiser_sees(generators):
    scan = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    schedule = Schedule(torch.linspace(0.99, 0.01, 10, dtype=torch.float64))
    denoiser = GUIDANCES.build("cautious", weight=0.5)(Halver(schedule))
    seen = []
    restoration = SAMPLERS.build("repeated", level=5, draws=3)(
        scan, denoiser, NOISES.build("checker"), generator=generators(1, 2), on_step=seen.append
    )
    assert restoration.nfe == len(seen) == 3
    torch.testing.assert_close(restoration.image, 0.75 * sum(step.x_t for step in seen) / 3)


@pytest.mark.usefixtures("with_examples")
def test_score_of_contributing_is_quadratic_then_linear():
    scan, twin = torch.zeros(1, 2, 1, 2), torch.tensor([0.1, 1.0]).expand(1, 2, 1, 2)
    score = SCORES.build("huber", delta=0.2)(scan, Reconstruction(twin, nfe=1))
    torch.testing.assert_close(score, torch.tensor([[[[0.005, 0.18]]]]))


class Halver:
    """A denoiser whose estimate is half of what it is given."""

    def __init__(self, schedule):
        self.schedule = schedule

    def __call__(self, x_t, t, **cond):
        return x_t / 2


def test_scope_forgets_what_was_registered_inside():
    registry = Registry("noise", "diffad.registry")
    registry.register("first")(dict)
    with registry.scope():
        registry.register("second")(dict)
        registry.register("first")(list)  # a rival, forgotten too
        assert list(registry) == ["first", "second"]
    assert list(registry) == ["first"]
    assert registry["first"] is dict
