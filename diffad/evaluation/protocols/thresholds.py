"""Which threshold each unit is cut at, and from whom it comes."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence

import numpy as np

from diffad.evaluation.metrics import cuts
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.unit import ScoredImage

UP, DOWN = np.float32(np.inf), np.float32(-np.inf)
TUNED = "tuning samples or folds"


def fit_thresholds(
    units: Sequence[ScoredImage],
    protocol: Protocol,
    tuning: Sequence[ScoredImage] | None = None,
    folds: int = 0,
) -> list[float]:
    """Give the threshold of each unit, NaN where there is none; a RuntimeWarning says why.

    Args:
        units: What is scored.
        protocol: Whose rule is followed.
        tuning: Units of other subjects the rule may look at.
        folds: Without these: subjects are dealt into so many folds, and the other folds tune each.

    Raises:
        ValueError: If there is one fold.
    """
    if folds == 1 or folds < 0:
        raise ValueError(f"expected folds 0 or at least 2, got {folds}")
    if protocol.threshold == "stored":
        return [math.nan] * len(units)
    if protocol.threshold == "fixed":
        return [protocol.fixed] * len(units)
    if protocol.tuned_on == "test":
        return [fit_rule(units, protocol)] * len(units)
    if tuning is not None:
        return [fit_rule(tuning, protocol)] * len(units)
    if folds:
        return _folded(units, protocol, folds)
    _tell(f"no threshold: the rule {protocol.threshold!r} needs {TUNED}; give one of the two")
    return [math.nan] * len(units)


def fit_rule(units: Sequence[ScoredImage], protocol: Protocol) -> float:
    """Apply the rule to units; NaN and a RuntimeWarning where it cannot be."""
    healthy = [unit.scores for unit in units if not unit.anomalous]
    marked = pixel_units(units, protocol)
    by_health = protocol.threshold.startswith("healthy")
    if by_health and not healthy:
        _tell(f"no threshold: the rule {protocol.threshold!r} needs healthy samples, got none")
        return math.nan
    if not by_health and not any(unit.truth.any() for unit in marked):
        _tell(f"no threshold: the rule {protocol.threshold!r} needs lesions, got none")
        return math.nan
    try:
        return _healthy(healthy, protocol) if by_health else _marked(marked, protocol)
    except ValueError as error:
        _tell(f"no threshold by the rule {protocol.threshold!r}: {error}")
        return math.nan


def pixel_units(units: Sequence[ScoredImage], protocol: Protocol) -> list[ScoredImage]:
    """Give the units whose pixels count."""
    few = [unit for unit in units if unit.anomalous and unit.truth.sum() < protocol.least_lesion]
    left_out = {id(unit) for unit in few}
    kept = [unit for unit in units if id(unit) not in left_out]
    return [unit for unit in kept if unit.anomalous or protocol.pixel_samples == "all"]


def assign_folds(units: Sequence[ScoredImage], folds: int) -> dict[str, int]:
    """Deal subjects out by the hash of their names, those with healthy units first."""
    healthy = {unit.subject for unit in units if not unit.anomalous}
    order = sorted({unit.subject for unit in units}, key=lambda name: (name not in healthy, _hash(name)))
    return {subject: index % folds for index, subject in enumerate(order)}


def _folded(units: Sequence[ScoredImage], protocol: Protocol, folds: int) -> list[float]:
    fold = assign_folds(units, folds)
    used = sorted(set(fold.values()))
    if len(used) < folds:
        _tell(f"expected at least {folds} subjects for {folds} folds, got {len(fold)}")
    cut = {k: fit_rule([unit for unit in units if fold[unit.subject] != k], protocol) for k in used}
    return [cut[fold[unit.subject]] for unit in units]


def _healthy(maps: Sequence[np.ndarray], protocol: Protocol) -> float:
    if protocol.threshold == "healthy_grid":
        cut = cuts.search_healthy_grid(maps, protocol.fpr, np.linspace(*protocol.grid)).threshold
    else:
        cut = cuts.search_healthy(np.concatenate(maps), protocol.fpr).threshold
    return _above(cut) if protocol.comparison == ">=" else cut


def _marked(units: Sequence[ScoredImage], protocol: Protocol) -> float:
    scores = np.concatenate([unit.scores for unit in units])
    truth = np.concatenate([unit.truth for unit in units])
    if protocol.threshold == "grid":
        return cuts.search_grid(scores, truth, np.linspace(*protocol.grid), protocol.comparison).threshold
    if protocol.threshold in ("order", "bisection"):
        rule = {"order": cuts.search_order, "bisection": cuts.search_bisection}[protocol.threshold]
        cut = rule(scores, truth, protocol.steps).threshold
        return _above(cut) if protocol.comparison == ">=" else cut
    best = cuts.search_exact(scores, truth).threshold
    return _below(best) if protocol.comparison == ">" else best


def _above(threshold: float) -> float:
    """Cut with >= as > cuts at the threshold: scores are in single precision."""
    return float(np.nextafter(np.float32(threshold), UP))


def _below(threshold: float) -> float:
    """Cut with > as >= cuts at the threshold."""
    return float(np.nextafter(np.float32(threshold), DOWN))


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _tell(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)
