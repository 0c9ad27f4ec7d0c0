"""One setting of a recipe at several values: trained alike, judged alike, what it costs and what it finds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from diffad.benchmark.config import BenchmarkConfig, DataConfig, MethodConfig
from diffad.benchmark.failures import note_errors
from diffad.benchmark.items import HEALTHY, TestItem
from diffad.benchmark.methods import load_method
from diffad.benchmark.prediction import BenchmarkMethod
from diffad.benchmark.progress import ProgressBar
from diffad.benchmark.run import run_benchmark
from diffad.benchmark.test_sets import TestSets
from diffad.config.schema import ConfigError
from diffad.distributed import Process
from diffad.io.atomic import write_bytes, write_text
from diffad.io.escape import format_csv
from diffad.report.benchmark.outcome import Outcome
from diffad.report.benchmark.tables import MEAN
from diffad.report.sweep import SweepPoint, draw_sweep

LOOKS = 64
"""Most training slices whose error is measured."""
COLUMNS = ("value", "seed", "train_error", "healthy_error", "lesion_error", "pixel_ap", "oracle_dice")


@dataclass(frozen=True)
class Sweep:
    """A recipe, and the setting of it that is varied.

    Args:
        recipe: Training config, a file or the name of a shipped one.
        key: Dotted key of the setting.
        values: Its values, as they are written in YAML.
        seeds: Seeds of the trainings; each value is trained with each.
        changes: Other changes to the recipe.
    """

    recipe: str
    key: str
    values: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    changes: tuple[str, ...] = ()

    def label(self, value: str, seed: int) -> str:
        """Return the name of one training, in tables and as a folder."""
        return f"{self.key.rpartition('.')[2]} {value} seed {seed}"

    def make_benchmark(self, data: DataConfig, out: Path) -> BenchmarkConfig:
        """Return the benchmark that trains and judges every value with every seed."""
        methods = [
            MethodConfig(
                label=self.label(value, seed),
                train=self.recipe,
                set=(*self.changes, f"{self.key}={value}", f"seed={seed}"),
            )
            for value, seed in product(self.values, self.seeds)
        ]
        return BenchmarkConfig(
            name=f"sweep of {self.key}",
            data=data,
            methods=tuple(methods),
            baselines=False,
            protocols=("lesioned",),
            output=str(out),
        )


def parse_sweep(recipe: str, words: str, seeds: Sequence[int], changes: Sequence[str]) -> Sweep:
    """Read ``key=a,b,c``.

    Raises:
        ConfigError: If there is no key, fewer than two values, or one of them twice.
    """
    key, _, text = words.partition("=")
    values = [word.strip() for word in text.split(",") if word.strip()]
    if not key.strip() or len(values) < 2 or len(set(values)) < len(values):
        raise ConfigError(f"expected KEY=A,B,... with two different values or more, got {words!r}")
    if bad := [v for v in values if Path(v).name != v]:
        raise ConfigError(f"expected plain values, which name folders, got {', '.join(bad)}")
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"expected seeds named once, got {', '.join(map(str, seeds))}")
    return Sweep(recipe, key.strip(), tuple(values), tuple(seeds), tuple(changes))


def run_sweep(sweep: Sweep, data: DataConfig, out: Path, process: Process) -> list[SweepPoint]:
    """Train and judge every value, or what remains of it; write sweep.csv and sweep.png.

    Raises:
        ConfigError: If the folder belongs to another sweep.
        ValueError: If no value has a result, or data cannot be used.
        OSError: If data cannot be read, or results cannot be written.
    """
    config = sweep.make_benchmark(data, out)
    outcome = run_benchmark(config, process)
    if outcome is None:  # another process tells
        return []
    points = list(_measure_points(sweep, config, outcome, process))
    if not points:
        reasons = "; ".join(dict.fromkeys(outcome.failures.values()))
        raise ValueError(f"expected a result of {sweep.key} at one value at least, got none: {reasons}")
    rows: list[dict[str, Any]] = [
        {name: _format_value(getattr(point, name)) for name in COLUMNS} for point in points
    ]
    write_text(out / "sweep.csv", format_csv(list(COLUMNS), rows))
    write_bytes(out / "sweep.png", draw_sweep(sweep.key, points))
    return points


def _format_value(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


def _measure_points(
    sweep: Sweep, config: BenchmarkConfig, outcome: Outcome, process: Process
) -> Iterator[SweepPoint]:
    tests = TestSets(config.data)
    trainings = list(product(sweep.values, sweep.seeds))
    with ProgressBar("errors", len(trainings)) as bar:
        for value, seed in trainings:
            label = sweep.label(value, seed)
            if label in outcome.failures:
                continue
            with note_errors(config.out, label, bar):
                method = load_method(config, label, tests.slices, process.device)
                errors = _measure_errors(method, tests)
                yield SweepPoint(value, seed, *errors, *_find_metrics(outcome, label))
            bar.say(f"{label} is measured")


def _find_metrics(outcome: Outcome, label: str) -> tuple[float, float]:
    values = {row.metric: row.value for row in outcome.rows if row.method == label and row.data == MEAN}
    if not values:  # a single kind has no mean
        values = {row.metric: row.value for row in outcome.rows if row.method == label}
    return values.get("pixel_ap", math.nan), values.get("oracle_dice", math.nan)


def _measure_errors(method: BenchmarkMethod, tests: TestSets) -> tuple[float, float, float]:
    """Return the mean square errors of training slices, of others, and of lesions in these."""
    slices = tests.slices
    assert slices is not None
    brain = slices.brain[0, 0].numpy()
    seen = [TestItem(str(i), str(i), x, brain & False, brain) for i, x in enumerate(slices.train[:LOOKS])]
    sets = tests.list_sets(0)
    healthy = [item for s in sets if s.kind == HEALTHY for item in s.read()]
    lesioned = [item for s in sets if s.kind != HEALTHY for item in s.read()]
    errors = [_measure_error(method, items, inside_lesions=False) for items in (seen, healthy)]
    return errors[0], errors[1], _measure_error(method, lesioned, inside_lesions=True)


def _measure_error(method: BenchmarkMethod, items: Sequence[TestItem], inside_lesions: bool) -> float:
    total, count = 0.0, 0
    for item, x_hat in zip(items, method.predict(items, 0).reconstructions, strict=True):
        place = torch.from_numpy(item.truth & item.brain if inside_lesions else item.brain)
        residual = (torch.from_numpy(item.image) - x_hat)[place]
        total, count = total + float(residual.square().sum()), count + residual.numel()
    return total / count if count else math.nan
