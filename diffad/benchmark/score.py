"""Scores finished maps by protocols, kind by kind, each together with the healthy scans."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffad.benchmark import storage
from diffad.benchmark.config import BenchmarkConfig, hash_values
from diffad.benchmark.predict import list_complete_seeds
from diffad.benchmark.progress import ProgressBar
from diffad.benchmark.storage import PredictionUnit, note_failure, read_failures
from diffad.benchmark.test_sets import HEALTHY, TestItem, Tests, TestSet
from diffad.data.volume import Volume
from diffad.distributed import Process
from diffad.evaluation.result import Result
from diffad.evaluation.samples import Sample
from diffad.io.atomic import write_text
from diffad.io.terminal import format_error, is_debugging

RANKED_BY = "pixel_ap"
"""Figure that methods are ranked by."""


@dataclass(frozen=True)
class EvaluationUnit:
    """What one protocol says of one method with one seed.

    Args:
        label: Label of the method.
        seed: Seed of lesions and noise.
        protocol: Name of the protocol.
    """

    label: str
    seed: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.label}, seed {self.seed}, {self.protocol}"

    def path(self, out: Path) -> Path:
        """Return the file of its figures."""
        return out / "scores" / self.protocol / self.label / f"seed-{self.seed}.json"


@dataclass
class UnitMetrics:
    """Figures as they are kept.

    Args:
        kinds: By kind and figure, value and both ends of the interval.
        subjects: By subject, the figure methods are ranked by, a value for each of its rows.
        curves: By name, x and y, over all kinds.
        warnings: What should be known.
    """

    kinds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    subjects: dict[str, list[float]] = field(default_factory=dict)
    curves: dict[str, list[list[float]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def list_scorable(config: BenchmarkConfig, tests: Tests) -> list[EvaluationUnit]:
    """Return what can be scored: methods and seeds all of whose maps are there."""
    failed = read_failures(config.out)
    ready = {m: list_complete_seeds(config, tests, m) for m in config.labels if m not in failed}
    return [
        EvaluationUnit(m, seed, p) for m, seeds in ready.items() for seed in seeds for p in config.protocols
    ]


def score_missing(config: BenchmarkConfig, tests: Tests, share: Process) -> None:
    """Score what is not scored yet; what cannot be scored is noted."""
    mine = share.mine(list_scorable(config, tests))
    with ProgressBar("scores", len(mine)) as ticker:
        for score in mine:
            ticker.begin(score)
            try:
                known = _scored(config, tests, score)
            except Exception as error:  # one method must not end the others
                if is_debugging():
                    raise
                note_failure(config.out, score.label, format_error(error))
                ticker.say(f"{score}: {error}")
            else:
                ticker.done(score, "was finished" if known else "")


def _scored(config: BenchmarkConfig, tests: Tests, score: EvaluationUnit) -> bool:
    """Score unless it was done; tell whether it was."""
    path, made_by = score.path(config.out), hash_evaluation(config, tests, score)
    try:
        if json.loads(path.read_text(encoding="utf-8"))["fingerprint"] == made_by:
            return True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = evaluate_unit(config, tests, score)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"fingerprint": made_by, **vars(found)}) + "\n")
    return False


def hash_evaluation(config: BenchmarkConfig, tests: Tests, score: EvaluationUnit) -> str:
    """Return the hash of all that figures follow from: maps, truth, and every choice of the protocol."""
    from diffad.registry import PROTOCOLS

    sets = tests.of(score.seed)
    told = [
        storage.read_info(PredictionUnit(score.label, score.seed, s.name).path(config.out)) or {}
        for s in sets
    ]
    maps = [(s.digest, one.get("sha256"), one.get("scores")) for s, one in zip(sets, told, strict=True)]
    protocol = PROTOCOLS.build(score.protocol).to_dict()
    return hash_values(maps, protocol, config.folds, config.resamples, _draws(config, score))


def _draws(config: BenchmarkConfig, score: EvaluationUnit) -> bool:
    """Whether curves are kept: of the first protocol and seed."""
    first = (config.protocols[0], config.seeds_of(score.label)[0])
    return (score.protocol, score.seed) == first


def evaluate_unit(config: BenchmarkConfig, tests: Tests, score: EvaluationUnit) -> UnitMetrics:
    """Score one method with one seed by one protocol."""
    from diffad.evaluation.protocols.evaluate import evaluate_samples

    kinds: dict[str, list[Sample]] = defaultdict(list)
    for one in tests.of(score.seed):
        kinds[one.kind] += load_samples(
            one, PredictionUnit(score.label, score.seed, one.name).path(config.out)
        )
    healthy, found = kinds.pop(HEALTHY, []), UnitMetrics()
    for kind, positive in kinds.items():
        result = evaluate_samples(
            positive + healthy, score.protocol, folds=config.folds, resamples=config.resamples, seed=0
        )
        _keep(found, kind, result, {s.name for s in positive})
    if _draws(config, score):
        found.curves = pool_curves([s for part in kinds.values() for s in part])
    return found


def load_samples(tests: TestSet, path: Path) -> list[Sample]:
    """Put maps and truth together."""
    found, items = storage.load_maps(path), tests.read()
    return [_sample(item, found, i) for i, item in enumerate(items)]


def _sample(item: TestItem, found: Any, i: int) -> Sample:
    volume = item.scan if isinstance(item.scan, Volume) else None
    return Sample(
        name=item.name,
        subject=item.subject,
        scores=found.maps[i].numpy(),
        truth=item.truth,
        brain=item.brain,
        spacing=() if volume is None else tuple(float(edge) for edge in volume.spacing),
        group=item.group,
        axis=None if volume is None else 2,
        ignored=item.ignored,
        detected=found.detected[i].numpy() if found.detected else None,
        image_score=found.scores[i] if found.scores else None,
        image=item.image if found.twins else None,
        twin=found.twins[i].numpy() if found.twins else None,
        label=item.label,
    )


def _keep(found: UnitMetrics, kind: str, result: Result, names: set[str]) -> None:
    found.kinds[kind] = {n: [f.value, f.low, f.high] for n, f in result.figures.items()}
    found.warnings += [f"{kind}: {text}" for text in result.warnings]
    for row in result.rows:
        value = float(row.get(RANKED_BY, math.nan))
        ours = bool({row["name"], str(row["name"]).rpartition("#")[0]} & names)  # slices are "NAME#INDEX"
        if ours and not math.isnan(value):
            found.subjects.setdefault(str(row["subject"]), []).append(value)


def pool_curves(parts: Sequence[Sample]) -> dict[str, list[list[float]]]:
    """Return ROC, precision-recall and Dice curves of all pixels in all brains."""
    from diffad.evaluation.metrics.ranking import RankCurve

    pixels = np.concatenate([s.scores[s.counted] for s in parts])
    truth = np.concatenate([s.truth[s.counted] for s in parts])
    if truth.all() or not truth.any():
        return {}
    curve = RankCurve.of(pixels, truth)
    named = {"roc": curve.roc(), "pr": curve.precision_recall(), "dice": curve.dice_curve()}
    return {name: [np.asarray(v, float).tolist() for v in points] for name, points in named.items()}


def load_metrics(path: Path) -> UnitMetrics:
    """Read what was kept.

    Raises:
        OSError: If it cannot be read.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    values.pop("fingerprint")
    return UnitMetrics(**values)
