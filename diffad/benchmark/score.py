"""Scores finished maps by protocols, kind by kind, each together with the healthy scans."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig, hash_values
from diffad.benchmark.failures import note_errors, read_failures
from diffad.benchmark.items import HEALTHY, TestItem, TestSet
from diffad.benchmark.methods import Prediction
from diffad.benchmark.predict import list_complete_seeds
from diffad.benchmark.progress import ProgressBar
from diffad.benchmark.test_sets import TestSets
from diffad.benchmark.units import EvaluationUnit, PredictionUnit
from diffad.data.volume import Volume
from diffad.distributed import Process
from diffad.evaluation.result import Result
from diffad.evaluation.samples import Sample
from diffad.io.atomic import write_text
from diffad.io.shapes import is_number, is_text, list_of, mapping_of, record_of
from diffad.io.text import read_json

RANKING_METRIC = "pixel_ap"
"""Metric that methods are ranked by."""


@dataclass
class UnitMetrics:
    """Metrics of one unit, as they are stored.

    Args:
        kinds: By kind and metric, value and both ends of the interval.
        subjects: By subject, the metric that methods are ranked by, a value for each of its rows.
        curves: By name, x and y, over all kinds.
        warnings: What a reader should know.
    """

    kinds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    subjects: dict[str, list[float]] = field(default_factory=dict)
    curves: dict[str, list[list[float]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


METRICS = record_of(
    kinds=mapping_of(mapping_of(list_of(is_number, (1, 2, 3)))),
    subjects=mapping_of(list_of(is_number, range(1, 10**9))),
    curves=mapping_of(list_of(list_of(is_number), (2,))),
    warnings=list_of(is_text),
)
"""What metrics on disk are."""


def list_scorable(config: BenchmarkConfig, tests: TestSets) -> list[EvaluationUnit]:
    """Return what can be scored: methods and seeds all of whose maps are there."""
    failures = read_failures(config.out)
    seeds = {m: list_complete_seeds(config, tests, m) for m in config.labels if m not in failures}
    return [
        EvaluationUnit(label, seed, protocol)
        for label in seeds
        for seed in seeds[label]
        for protocol in config.protocols
    ]


def score_missing(config: BenchmarkConfig, tests: TestSets, process: Process) -> None:
    """Score what is not scored yet; what cannot be scored is noted."""
    units = process.shard(list_scorable(config, tests))
    with ProgressBar("scores", len(units)) as bar:
        for unit in units:
            bar.begin(unit)
            with note_errors(config.out, unit.label, bar):
                is_new = _score_unit(config, tests, unit)
                bar.finish(unit, "" if is_new else "was finished")


def _score_unit(config: BenchmarkConfig, tests: TestSets, unit: EvaluationUnit) -> bool:
    """Score a unit unless that is done; tell whether it was still to be done."""
    path, fingerprint = unit.path(config.out), hash_evaluation(config, tests, unit)
    if _read_fingerprint(path) == fingerprint:
        return False
    metrics = evaluate_unit(config, tests, unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"fingerprint": fingerprint, **vars(metrics)}) + "\n")
    return True


def _read_fingerprint(path: Path) -> str | None:
    """Return what stored metrics follow from; none if there are none, or they cannot be read."""
    try:
        return str(read_json(path)["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def hash_evaluation(config: BenchmarkConfig, tests: TestSets, unit: EvaluationUnit) -> str:
    """Return the hash of all that metrics follow from: maps, truth, and every choice of the protocol."""
    from diffad.registry import PROTOCOLS

    sets = tests.list_sets(unit.seed)
    infos = [storage.read_info(_locate_maps(config, unit, test_set)) or {} for test_set in sets]
    maps = [(s.digest, info.get("sha256"), info.get("scores")) for s, info in zip(sets, infos, strict=True)]
    protocol = PROTOCOLS.build(unit.task).to_dict()
    return hash_values(maps, protocol, config.folds, config.resamples, _stores_curves(config, unit))


def _locate_maps(config: BenchmarkConfig, unit: EvaluationUnit, test_set: TestSet) -> Path:
    return PredictionUnit(unit.label, unit.seed, test_set.name).path(config.out)


def _stores_curves(config: BenchmarkConfig, unit: EvaluationUnit) -> bool:
    """Tell whether curves are stored: those of the first protocol and seed."""
    return (unit.task, unit.seed) == (config.protocols[0], config.list_seeds(unit.label)[0])


def evaluate_unit(config: BenchmarkConfig, tests: TestSets, unit: EvaluationUnit) -> UnitMetrics:
    """Score one method with one seed by one protocol.

    Raises:
        OSError: If maps or scans cannot be read.
        ValueError: If they cannot be scored.
    """
    from diffad.evaluation.protocols.evaluate import evaluate_samples

    kinds: dict[str, list[Sample]] = defaultdict(list)
    for test_set in tests.list_sets(unit.seed):
        kinds[test_set.kind] += load_samples(test_set, _locate_maps(config, unit, test_set))
    healthy, metrics = kinds.pop(HEALTHY, []), UnitMetrics()
    for kind, samples in kinds.items():
        result = evaluate_samples(
            samples + healthy, unit.task, folds=config.folds, resamples=config.resamples, seed=0
        )
        _add_result(metrics, kind, result, {s.name for s in samples})
    if _stores_curves(config, unit):
        metrics.curves = pool_curves([s for samples in kinds.values() for s in samples])
    return metrics


def load_samples(test_set: TestSet, path: Path) -> list[Sample]:
    """Put maps and ground truth together.

    Raises:
        OSError: If a file cannot be read.
    """
    prediction, items = storage.load_maps(path), test_set.read()
    return [_make_sample(item, prediction, i) for i, item in enumerate(items)]


def _make_sample(item: TestItem, prediction: Prediction, i: int) -> Sample:
    volume = item.scan if isinstance(item.scan, Volume) else None
    return Sample(
        name=item.name,
        subject=item.subject,
        scores=prediction.maps[i].numpy(),
        truth=item.truth,
        brain=item.brain,
        spacing=() if volume is None else tuple(float(edge) for edge in volume.spacing),
        group=item.group,
        axis=None if volume is None else 2,
        ignored=item.ignored_mask,
        detected=prediction.detections[i].numpy() if prediction.detections else None,
        image_score=prediction.scores[i] if prediction.scores else None,
        image=item.image if prediction.reconstructions else None,
        twin=prediction.reconstructions[i].numpy() if prediction.reconstructions else None,
        label=item.label,
    )


def _add_result(metrics: UnitMetrics, kind: str, result: Result, names: set[str]) -> None:
    """Add the metrics of one kind; rows of the healthy scans, which are in every kind, are left out."""
    metrics.kinds[kind] = {name: [m.value, m.low, m.high] for name, m in result.figures.items()}
    metrics.warnings += [f"{kind}: {text}" for text in result.warnings]
    for row in result.rows:
        value = float(row.get(RANKING_METRIC, math.nan))
        scan = str(row["name"]).rpartition("#")[0]  # slices are "NAME#INDEX"
        if {row["name"], scan} & names and not math.isnan(value):
            metrics.subjects.setdefault(str(row["subject"]), []).append(value)


def pool_curves(samples: Sequence[Sample]) -> dict[str, list[list[float]]]:
    """Return ROC, precision-recall and Dice curves of all pixels in all brains."""
    from diffad.evaluation.metrics.ranking import RankCurve

    pixels = np.concatenate([s.scores[s.counted] for s in samples])
    truth = np.concatenate([s.truth[s.counted] for s in samples])
    if truth.all() or not truth.any():
        return {}
    curve = RankCurve.of(pixels, truth)
    curves = {"roc": curve.roc(), "pr": curve.precision_recall(), "dice": curve.dice_curve()}
    return {name: [np.asarray(v, float).tolist() for v in points] for name, points in curves.items()}


def load_metrics(path: Path) -> UnitMetrics:
    """Read what was stored.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is another file.
    """
    expectation = "metrics, as the benchmark writes them"
    values = read_json(path, expectation)
    if not METRICS(values) or set(values) != {"fingerprint", *(f.name for f in fields(UnitMetrics))}:
        raise ValueError(f"{path}: expected {expectation}, found others")
    return UnitMetrics(**{name: value for name, value in values.items() if name != "fingerprint"})
