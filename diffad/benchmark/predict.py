"""Makes the maps that are missing: one unit is a method on a set with a seed."""

from __future__ import annotations

from pathlib import Path

import torch

from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig, hash_values
from diffad.benchmark.methods import BenchmarkMethod, load_method
from diffad.benchmark.progress import ProgressBar
from diffad.benchmark.storage import PredictionUnit, note_failure, read_failures
from diffad.benchmark.test_sets import Tests, TestSet
from diffad.distributed import Process
from diffad.io.terminal import format_error, is_debugging

Work = tuple[PredictionUnit, TestSet]


def list_units(config: BenchmarkConfig, tests: Tests, label: str) -> list[Work]:
    """Return all units of one method."""
    return [
        (PredictionUnit(label, seed, s.name), s) for seed in config.seeds_of(label) for s in tests.of(seed)
    ]


def predict_missing(config: BenchmarkConfig, tests: Tests, share: Process) -> None:
    """Make what is not finished; a method that fails is noted, and the others go on."""
    work = share.mine([w for label in config.labels for w in list_units(config, tests, label)])
    with ProgressBar("maps", len(work)) as ticker:
        for label in config.labels:
            mine = [w for w in work if w[0].label == label]
            if not mine or label in read_failures(config.out):
                continue
            try:
                method = load_method(config, label, tests.slices, share.device)
                _all(config, method, mine, ticker)
            except Exception as error:  # one method must not end the others
                if is_debugging():
                    raise
                reason = format_error(error)
                note_failure(config.out, label, reason)
                ticker.say(f"{label}: {reason}")


def _all(config: BenchmarkConfig, method: BenchmarkMethod, work: list[Work], ticker: ProgressBar) -> None:
    for unit, tests in work:
        path, made_by = unit.path(config.out), hash_prediction(method, unit, tests, config)
        known = storage.check_state(path, made_by)
        ticker.begin(unit)
        if known == "finished":
            ticker.done(unit, "was finished")
            continue
        if over := explain_budget(config, method.label):
            ticker.say(f"{method.label}: {over}")
            return
        if known != "absent":
            why = "is broken" if known == "broken" else "was made by something else"
            ticker.say(f"warning: {path} {why} and is made again")
        predict_unit(path, method, unit, tests, {"fingerprint": made_by, "twins": _keeps_twins(config, unit)})
        ticker.done(unit)


def predict_unit(
    path: Path, method: BenchmarkMethod, unit: PredictionUnit, tests: TestSet, told: dict[str, object]
) -> None:
    """Make the maps of one unit and write them."""
    torch.set_flush_denormal(True)
    found = method.timed(tests.read(), unit.seed)
    if not told["twins"]:
        found.twins = []
    storage.store(path, found, {**told, "parameters": method.parameters})


def hash_prediction(
    method: BenchmarkMethod, unit: PredictionUnit, tests: TestSet, config: BenchmarkConfig
) -> str:
    """Return the hash of all that the maps of a unit follow from."""
    return hash_values(method.fingerprint, unit.seed, tests.digest, _keeps_twins(config, unit))


def _keeps_twins(config: BenchmarkConfig, unit: PredictionUnit) -> bool:
    return unit.seed == config.seeds_of(unit.label)[0]


def count_seconds(out: Path, label: str) -> float:
    """Return the seconds that the finished maps of a method took."""
    found = (storage.read_info(path) for path in sorted((out / "maps" / label).rglob("[!.]*.json")))
    return sum(float(told["seconds"]) for told in found if told is not None)


def explain_budget(config: BenchmarkConfig, label: str) -> str:
    """Say that the maps of a method took too long, or nothing."""
    budget = config.budget.predict_seconds
    if budget is None or count_seconds(config.out, label) <= budget:
        return ""
    return f"its maps took more than their {budget:g} s, and the rest was left out"


def list_complete_seeds(config: BenchmarkConfig, tests: Tests, label: str) -> list[int]:
    """Return the seeds of a method all of whose maps are there."""

    def whole(seed: int) -> bool:
        paths = [PredictionUnit(label, seed, s.name).path(config.out) for s in tests.of(seed)]
        return all(path.is_file() and storage.read_info(path) is not None for path in paths)

    return [seed for seed in config.seeds_of(label) if whole(seed)]
