"""From finished files to the outcome of a benchmark."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean

import numpy as np

from diffad.benchmark import score as scoring
from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig
from diffad.benchmark.predict import explain_budget, list_complete_seeds
from diffad.benchmark.score import RANKED_BY, EvaluationUnit, UnitMetrics
from diffad.benchmark.test_sets import Tests
from diffad.benchmark.thumbnails import draw_thumbnail
from diffad.io.atomic import write_text
from diffad.report.benchmark.outcome import Cost, Line, Outcome

MEAN = "mean"
"""Name of the mean over the kinds."""

Subjects = dict[str, dict[str, dict[str, float]]]


def collect_outcome(config: BenchmarkConfig, tests: Tests) -> Outcome:
    """Read all scores and costs, and write the tables."""
    found = {s: scoring.load_metrics(s.path(config.out)) for s in scoring.list_scorable(config, tests)}
    failed, warnings = _missing(config, tests)
    warnings += [f"{s}: {text}" for s, scored in found.items() for text in scored.warnings]
    done = [label for label in config.labels if label not in failed]
    outcome = Outcome(
        name=config.name,
        methods=config.labels,
        lines=[line for s, scored in found.items() for line in summarise_kinds(s, scored)],
        costs=[_cost(config.out, label) for label in done],
        subjects=_subjects(found),
        ranked_by=RANKED_BY,
        curves=_curves(found),
        thumbnails={label: draw_thumbnail(config, tests, label) for label in done},
        settings=config.to_dict(),
        warnings=list(dict.fromkeys(warnings)),
        failed=failed,
    )
    write_tables(outcome, config.out)
    return outcome


def _missing(config: BenchmarkConfig, tests: Tests) -> tuple[dict[str, str], list[str]]:
    """Tell which methods have no figures at all, and which lack some."""
    noted, warnings = storage.read_failures(config.out), []
    failed = {label: noted[label] for label in config.labels if label in noted}
    warnings += [f"{label}: {text}" for label, text in noted.items() if label not in failed]
    if config.baselines and not config.data.slices:
        warnings.append("most naive baselines are left out: they learn from data.slices, which is not given")
    for label in config.labels:
        seeds, wanted = list_complete_seeds(config, tests, label), config.seeds_of(label)
        if label in failed or len(seeds) == len(wanted):
            continue
        reason = explain_budget(config, label) or "maps are missing"
        if seeds:
            told = ", ".join(map(str, seeds))
            warnings.append(f"{label}: {reason}; only seeds {told} of {len(wanted)} are whole")
        else:
            failed[label] = reason
    return failed, warnings


def summarise_kinds(score: EvaluationUnit, scored: UnitMetrics) -> list[Line]:
    """Return the figures of each kind, and their means over the kinds."""
    about = (score.label, score.protocol)
    rows = [
        Line(*about, kind, score.seed, name, *three)
        for kind, figures in scored.kinds.items()
        for name, three in figures.items()
    ]
    if len(scored.kinds) < 2:
        return rows
    by_name = defaultdict(list)
    for row in rows:
        by_name[row.figure].append(row.value)
    return rows + [Line(*about, MEAN, score.seed, name, mean(values)) for name, values in by_name.items()]


def _subjects(found: dict[EvaluationUnit, UnitMetrics]) -> Subjects:
    """Average the rows of each subject; only subjects that every method has are kept."""
    values: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for score, scored in found.items():
        for subject, rows in scored.subjects.items():
            values[score.protocol][score.label].setdefault(subject, []).extend(rows)
    return {p: _shared(methods) for p, methods in values.items()}


def _shared(methods: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    common = set.intersection(*(set(subjects) for subjects in methods.values()))
    return {m: {s: mean(rows[s]) for s in sorted(common)} for m, rows in methods.items()}


def _curves(found: dict[EvaluationUnit, UnitMetrics]) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    kept = {s.label: scored.curves for s, scored in found.items() if scored.curves}
    return {
        label: {name: (np.asarray(x), np.asarray(y)) for name, (x, y) in curves.items()}
        for label, curves in kept.items()
    }


def _cost(out: Path, label: str) -> Cost:
    paths = sorted((out / "maps" / label).rglob("[!.]*.json"))
    told = [one for one in map(storage.read_info, paths) if one is not None]
    slices = sum(one["slices"] for one in told)
    seconds = sum(one["seconds"] for one in told) / slices if slices else math.nan
    nfe = max((one["nfe"] for one in told), default=0)
    return Cost(label, nfe, seconds, max((one["parameters"] for one in told), default=0))


def write_tables(outcome: Outcome, out: Path) -> None:
    """Write results.csv, the same bytes for the same figures, and costs.csv, whose seconds differ.

    Raises:
        OSError: If they cannot be written.
    """
    names = ["method", "protocol", "data", "seed", "figure", "value", "low", "high"]
    rows = sorted([getattr(line, name) for name in names] for line in outcome.lines)
    write_text(out / "results.csv", _csv(names, rows))
    names = ["method", "nfe", "seconds", "parameters"]
    write_text(out / "costs.csv", _csv(names, [[getattr(c, name) for name in names] for c in outcome.costs]))


def _csv(names: list[str], rows: list[list[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([repr(v) if isinstance(v, float) else v for v in row] for row in rows)
    return text.getvalue()
