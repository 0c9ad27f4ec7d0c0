"""A short run of every target; the long one is by hand, see ``tests/fuzz/run.py``."""

import time

import pytest

from tests.fuzz import pool
from tests.fuzz.run import list_cases
from tests.fuzz.targets import TARGETS, make_targets

COUNT = 40


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutated_input_is_taken_or_refused_in_words(name):
    outcomes = list(pool.run_cases(make_targets([name]), list_cases([name], COUNT, seed=0)))
    assert sorted(o.case.number for o in outcomes) == list(range(COUNT))
    assert [o for o in outcomes if o.is_fault] == []
    assert {"refused"} <= {o.kind for o in outcomes}


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
