"""From finished files to the outcome of a benchmark."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from statistics import mean

import numpy as np

from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig
from diffad.benchmark.failures import read_failures
from diffad.benchmark.predict import explain_budget, list_complete_seeds
from diffad.benchmark.score import RANKING_METRIC, UnitMetrics, list_scorable, load_metrics
from diffad.benchmark.test_sets import TestSets
from diffad.benchmark.thumbnails import draw_thumbnail
from diffad.benchmark.units import EvaluationUnit
from diffad.evaluation.result import Curve
from diffad.io.atomic import write_text
from diffad.io.escape import format_csv
from diffad.report.benchmark.outcome import Cost, MetricRow, Outcome

MEAN = "mean"
"""Name of the mean over the kinds."""

RESULT_COLUMNS = {
    "method": "method",
    "protocol": "protocol",
    "data": "data",
    "seed": "seed",
    "figure": "metric",
    "value": "value",
    "low": "low",
    "high": "high",
}
"""Columns of results.csv, and what of a ``MetricRow`` each holds."""

COST_COLUMNS = ("method", "nfe", "seconds", "parameters", "supervision", "backbone")

Metrics = dict[EvaluationUnit, UnitMetrics]
SubjectMeans = dict[str, dict[str, dict[str, float]]]


def collect_outcome(config: BenchmarkConfig, tests: TestSets) -> Outcome:
    """Read all metrics and costs, and write the tables.

    Raises:
        OSError: If a file cannot be read or written.
    """
    metrics = {unit: load_metrics(unit.path(config.out)) for unit in list_scorable(config, tests)}
    failures, warnings = _explain_gaps(config, tests)
    warnings += [f"{unit}: {text}" for unit, values in metrics.items() for text in values.warnings]
    labels = [label for label in config.labels if label not in failures]
    outcome = Outcome(
        name=config.name,
        methods=config.labels,
        rows=[row for unit, values in metrics.items() for row in summarise_kinds(unit, values)],
        costs=[_sum_cost(config.out, label) for label in labels],
        subjects=_average_subjects(metrics),
        ranking_metric=RANKING_METRIC,
        curves=_collect_curves(metrics),
        thumbnails={label: draw_thumbnail(config, tests, label) for label in labels},
        settings=config.to_dict(),
        warnings=list(dict.fromkeys(warnings)),
        failures=failures,
    )
    write_tables(outcome, config.out)
    return outcome


def _explain_gaps(config: BenchmarkConfig, tests: TestSets) -> tuple[dict[str, str], list[str]]:
    """Say which methods have no results at all, and which lack some."""
    notes, warnings = read_failures(config.out), []
    failures = {label: notes[label] for label in config.labels if label in notes}
    warnings += [f"{label}: {text}" for label, text in notes.items() if label not in failures]
    if config.baselines and not config.data.slices:
        warnings.append("most naive baselines are left out: they learn from data.slices, which is not given")
    for label in config.labels:
        complete_seeds, seeds = list_complete_seeds(config, tests, label), config.list_seeds(label)
        if label in failures or len(complete_seeds) == len(seeds):
            continue
        reason = explain_budget(config, label) or "maps are missing"
        if complete_seeds:
            names = ", ".join(map(str, complete_seeds))
            warnings.append(
                f"{label}: {reason}; {len(complete_seeds)} of {len(seeds)} seeds are complete: {names}"
            )
        else:
            failures[label] = reason
    return failures, warnings


def summarise_kinds(unit: EvaluationUnit, metrics: UnitMetrics) -> list[MetricRow]:
    """Return the metrics of each kind, and their means over the kinds."""
    origin = (unit.label, unit.task)
    rows = [
        MetricRow(*origin, kind, unit.seed, name, *interval)
        for kind, intervals in metrics.kinds.items()
        for name, interval in intervals.items()
    ]
    if len(metrics.kinds) < 2:
        return rows
    values = defaultdict(list)
    for row in rows:
        values[row.metric].append(row.value)
    return rows + [MetricRow(*origin, MEAN, unit.seed, name, mean(v)) for name, v in values.items()]


def _average_subjects(metrics: Metrics) -> SubjectMeans:
    """Average the rows of each subject; only subjects that every method has stay."""
    values: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for unit, unit_metrics in metrics.items():
        for subject, rows in unit_metrics.subjects.items():
            values[unit.task][unit.label].setdefault(subject, []).extend(rows)
    return {protocol: _keep_common(methods) for protocol, methods in values.items()}


def _keep_common(methods: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    common = set.intersection(*(set(subjects) for subjects in methods.values()))
    return {m: {s: mean(rows[s]) for s in sorted(common)} for m, rows in methods.items()}


def _collect_curves(metrics: Metrics) -> dict[str, dict[str, Curve]]:
    curves = {unit.label: values.curves for unit, values in metrics.items() if values.curves}
    return {
        label: {name: (np.asarray(x), np.asarray(y)) for name, (x, y) in points.items()}
        for label, points in curves.items()
    }


def _sum_cost(out: Path, label: str) -> Cost:
    paths = sorted((out / "maps" / label).rglob("[!.]*.json"))
    infos = [info for info in map(storage.read_info, paths) if info is not None]
    slices = sum(info["slices"] for info in infos)
    seconds = sum(info["seconds"] for info in infos) / slices if slices else math.nan
    nfe = max((info["nfe"] for info in infos), default=0)
    parameters = max((info.get("parameters", 0) for info in infos), default=0)
    # results of earlier versions say neither
    words = [
        max((str(info.get(key) or "") for info in infos), default="") for key in ("supervision", "backbone")
    ]
    return Cost(label, nfe, seconds, parameters, *words)


def write_tables(outcome: Outcome, out: Path) -> None:
    """Write results.csv, the same bytes for the same results, and costs.csv, whose seconds differ.

    Raises:
        OSError: If they cannot be written.
    """
    rows = sorted([getattr(row, field) for field in RESULT_COLUMNS.values()] for row in outcome.rows)
    write_text(out / "results.csv", _format_csv(list(RESULT_COLUMNS), rows))
    costs = [[getattr(cost, name) for name in COST_COLUMNS] for cost in outcome.costs]
    write_text(out / "costs.csv", _format_csv(list(COST_COLUMNS), costs))


def _format_csv(columns: list[str], rows: list[list[object]]) -> str:
    values = [[repr(v) if isinstance(v, float) else v for v in row] for row in rows]
    return format_csv(columns, [dict(zip(columns, row, strict=True)) for row in values])
