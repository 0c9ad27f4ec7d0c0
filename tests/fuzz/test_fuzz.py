"""A short run of every target; the long one is by hand, see ``tests/fuzz/run.py``."""

import time

import pytest

from tests.fuzz import pool
from tests.fuzz.run import list_cases
from tests.fuzz.targets import TARGETS, make_targets

COUNTS = {"json": 15, "model": 10, "safetensors": 15, "words": 10, "yaml": 15}
"""Cases of a target whose cases take long; the others have 40."""


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutated_input_is_taken_or_refused_in_words(name):
    count = COUNTS.get(name, 40)
    outcomes = list(pool.run_cases(make_targets([name]), list_cases([name], count, seed=0)))
    assert sorted(o.case.number for o in outcomes) == list(range(count))
    assert [o for o in outcomes if o.is_fault] == []
    assert {"refused"} <= {o.kind for o in outcomes}


def test_cases_are_shared_by_the_targets_and_the_same_each_time():
    cases = list_cases(["a", "b"], 5, seed=3)
    assert [(c.target, c.number) for c in cases] == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2)]
    assert cases[2].rng.random() == list_cases(["a", "b"], 5, seed=3)[2].rng.random()
    assert cases[2].rng.random() != list_cases(["a", "b"], 5, seed=4)[2].rng.random()


class Scripted:
    """Ends as the test says."""

    names_file = True

    def prepare(self):
        """There is nothing to load."""

    def mutate(self, rng, folder):
        (folder / "x").write_text(str(rng.random()))
        return "scripted"

    def feed(self, folder):
        raise NotImplementedError


def run_scripted(monkeypatch, action):
    monkeypatch.setattr(pool, "SECONDS", 1)
    monkeypatch.setattr(Scripted, "feed", lambda self, folder: action())
    return [o.kind for o in pool.run_cases({"s": Scripted()}, list_cases(["s"], 2, 0))]


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (lambda: None, "taken"),
        (lambda: True, "warned"),
        (lambda: fail(ValueError("said of x")), "refused"),
        (lambda: fail(ValueError("said of nothing")), "nameless"),
        (lambda: fail(ValueError("x" * 10_000)), "long"),
        (lambda: fail(KeyError("x")), "raw"),
        (lambda: fail(pool.WrongResultError("zeros")), "wrong"),
        (lambda: time.sleep(60), "hang"),
        (lambda: bytearray(4 * 2**30), "memory"),
    ],
)
def test_runner_names_every_end_and_goes_on(monkeypatch, action, kind):
    assert run_scripted(monkeypatch, action) == [kind, kind]
