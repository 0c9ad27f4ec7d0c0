"""Makes the maps that are missing: one unit is a method on a test set with a seed."""

from __future__ import annotations

from pathlib import Path

import torch

from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig, hash_values
from diffad.benchmark.failures import note_errors, read_failures
from diffad.benchmark.items import TestSet
from diffad.benchmark.methods import BenchmarkMethod, load_method
from diffad.benchmark.progress import ProgressBar
from diffad.benchmark.test_sets import TestSets
from diffad.benchmark.units import PredictionUnit
from diffad.distributed import Process

Work = tuple[PredictionUnit, TestSet]


def list_units(config: BenchmarkConfig, tests: TestSets, label: str) -> list[Work]:
    """Return all units of one method, each with its test set."""
    return [
        (PredictionUnit(label, seed, test_set.name), test_set)
        for seed in config.list_seeds(label)
        for test_set in tests.list_sets(seed)
    ]


def predict_missing(config: BenchmarkConfig, tests: TestSets, process: Process) -> None:
    """Make what is not finished; a method that fails is noted, and the others go on."""
    work = process.shard([pair for label in config.labels for pair in list_units(config, tests, label)])
    with ProgressBar("maps", len(work)) as bar:
        for label in config.labels:
            pairs = [pair for pair in work if pair[0].label == label]
            if not pairs or label in read_failures(config.out):
                continue
            with note_errors(config.out, label, bar):
                method = load_method(config, label, tests.slices, process.device)
                _predict_method(config, method, pairs, bar)


def _predict_method(
    config: BenchmarkConfig, method: BenchmarkMethod, work: list[Work], bar: ProgressBar
) -> None:
    """Make the missing maps of one method, until its time is spent."""
    for unit, test_set in work:
        path, fingerprint = unit.path(config.out), hash_prediction(method, unit, test_set, config)
        state = storage.check_state(path, fingerprint)
        bar.begin(unit)
        if state == "finished":
            bar.finish(unit, "was finished")
            continue
        if excess := explain_budget(config, method.label):
            bar.say(f"{method.label}: {excess}")
            return
        if state != "absent":
            reason = "is broken" if state == "broken" else "comes from another model, data or settings"
            bar.say(f"warning: {path} {reason} and is made again")
        predict_unit(
            path,
            method,
            unit,
            test_set,
            {"fingerprint": fingerprint, "twins": _stores_reconstructions(config, unit)},
        )
        bar.finish(unit)


def predict_unit(
    path: Path, method: BenchmarkMethod, unit: PredictionUnit, test_set: TestSet, info: dict[str, object]
) -> None:
    """Make the maps of one unit and write them.

    Args:
        path: File to write.
        method: What makes the maps.
        unit: Which maps.
        test_set: The scans.
        info: What the JSON beside the maps holds: "fingerprint", and whether reconstructions are stored
            ("twins").

    Raises:
        OSError: If they cannot be written.
        ValueError: If a scan cannot be used.
    """
    torch.set_flush_denormal(True)
    prediction = method.predict(test_set.read(), unit.seed)
    if not info["twins"]:
        prediction.reconstructions = []
    storage.store_maps(path, prediction, {**info, **method.describe()})


def hash_prediction(
    method: BenchmarkMethod, unit: PredictionUnit, test_set: TestSet, config: BenchmarkConfig
) -> str:
    """Return the hash of all that the maps of a unit follow from."""
    stores_reconstructions = _stores_reconstructions(config, unit)
    return hash_values(method.fingerprint, unit.seed, test_set.digest, stores_reconstructions)


def _stores_reconstructions(config: BenchmarkConfig, unit: PredictionUnit) -> bool:
    """Tell whether reconstructions are stored: those of the first seed, for the pictures."""
    return unit.seed == config.list_seeds(unit.label)[0]


def count_seconds(out: Path, label: str) -> float:
    """Return the seconds that the finished maps of a method took."""
    infos = (storage.read_info(path) for path in sorted((out / "maps" / label).rglob("[!.]*.json")))
    return sum(float(info["seconds"]) for info in infos if info is not None)


def explain_budget(config: BenchmarkConfig, label: str) -> str:
    """Say that the maps of a method took too long, or nothing."""
    budget = config.budget.predict_seconds
    if budget is None or count_seconds(config.out, label) <= budget:
        return ""
    return f"its maps took more than their {budget:g} s, and the rest was left out"


def list_complete_seeds(config: BenchmarkConfig, tests: TestSets, label: str) -> list[int]:
    """Return the seeds of a method all of whose maps are there."""

    def is_complete(seed: int) -> bool:
        units = [PredictionUnit(label, seed, test_set.name) for test_set in tests.list_sets(seed)]
        paths = [unit.path(config.out) for unit in units]
        return all(path.is_file() and storage.read_info(path) is not None for path in paths)

    return [seed for seed in config.list_seeds(label) if is_complete(seed)]
