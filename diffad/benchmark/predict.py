"""Makes the maps that are missing: one unit is a method on a set with a seed."""

from __future__ import annotations

from pathlib import Path

import torch

from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig, digest
from diffad.benchmark.methods import Method, opened
from diffad.benchmark.progress import Ticker
from diffad.benchmark.storage import Unit, failures, note_failure
from diffad.benchmark.test_sets import Tests, TestSet
from diffad.distributed import Share
from diffad.io.terminal import debugging

Work = tuple[Unit, TestSet]


def units(config: BenchmarkConfig, tests: Tests, label: str) -> list[Work]:
    """Return all units of one method."""
    return [(Unit(label, seed, s.name), s) for seed in config.seeds_of(label) for s in tests.of(seed)]


def predict_missing(config: BenchmarkConfig, tests: Tests, share: Share) -> None:
    """Make what is not finished; a method that fails is noted, and the others go on."""
    work = share.mine([w for label in config.labels for w in units(config, tests, label)])
    with Ticker("maps", len(work)) as ticker:
        for label in config.labels:
            mine = [w for w in work if w[0].label == label]
            if not mine or label in failures(config.out):
                continue
            try:
                method = opened(config, label, tests.slices, share.device)
                _all(config, method, mine, ticker)
            except Exception as error:  # one method must not end the others
                if debugging():
                    raise
                reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                note_failure(config.out, label, reason)
                ticker.say(f"{label}: {reason}")


def _all(config: BenchmarkConfig, method: Method, work: list[Work], ticker: Ticker) -> None:
    for unit, tests in work:
        path, made_by = unit.path(config.out), fingerprint(method, unit, tests, config)
        known = storage.state(path, made_by)
        ticker.begin(unit)
        if known == "finished":
            ticker.done(unit, "was finished")
            continue
        if over := over_budget(config, method.label):
            ticker.say(f"{method.label}: {over}")
            return
        if known != "absent":
            why = "is broken" if known == "broken" else "was made by something else"
            ticker.say(f"warning: {path} {why} and is made again")
        make(path, method, unit, tests, {"fingerprint": made_by, "twins": _keeps_twins(config, unit)})
        ticker.done(unit)


def make(path: Path, method: Method, unit: Unit, tests: TestSet, told: dict[str, object]) -> None:
    """Make the maps of one unit and write them."""
    torch.set_flush_denormal(True)
    found = method.timed(tests.read(), unit.seed)
    if not told["twins"]:
        found.twins = []
    storage.store(path, found, {**told, "parameters": method.parameters})


def fingerprint(method: Method, unit: Unit, tests: TestSet, config: BenchmarkConfig) -> str:
    """Return the hash of all that the maps of a unit follow from."""
    return digest(method.fingerprint, unit.seed, tests.digest, _keeps_twins(config, unit))


def _keeps_twins(config: BenchmarkConfig, unit: Unit) -> bool:
    return unit.seed == config.seeds_of(unit.label)[0]


def spent(out: Path, label: str) -> float:
    """Return the seconds that the finished maps of a method took."""
    found = (storage.told(path) for path in sorted((out / "maps" / label).rglob("[!.]*.json")))
    return sum(float(told["seconds"]) for told in found if told is not None)


def over_budget(config: BenchmarkConfig, label: str) -> str:
    """Say that the maps of a method took too long, or nothing."""
    budget = config.budget.predict_seconds
    if budget is None or spent(config.out, label) <= budget:
        return ""
    return f"its maps took more than their {budget:g} s, and the rest was left out"


def complete(config: BenchmarkConfig, tests: Tests, label: str) -> list[int]:
    """Return the seeds of a method all of whose maps are there."""

    def whole(seed: int) -> bool:
        paths = [Unit(label, seed, s.name).path(config.out) for s in tests.of(seed)]
        return all(path.is_file() and storage.told(path) is not None for path in paths)

    return [seed for seed in config.seeds_of(label) if whole(seed)]
