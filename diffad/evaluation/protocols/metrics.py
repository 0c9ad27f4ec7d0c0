"""How well scores rank the pixels and images of a set."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.metrics.pro import ProCurve
from diffad.evaluation.metrics.ranking import RankCurve
from diffad.evaluation.protocols.intervals import Bootstrap
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.rows import rank_pixels, split_slices
from diffad.evaluation.protocols.thresholds import pixel_units
from diffad.evaluation.protocols.unit import ScoredImage
from diffad.evaluation.result import Curve, Metric

Figures = dict[str, Metric]
SIZES = ("small", "medium", "large")


def pixel_metrics(
    units: Sequence[ScoredImage], protocol: Protocol, sure: Bootstrap
) -> tuple[Figures, dict[str, Curve]]:
    """Rank the pixels that count."""
    kept = pixel_units(units, protocol)
    curve = _pooled(kept)
    best = curve.best_dice()
    ends = sure.pooled(kept)
    found = {
        "oracle_dice": Metric(best.dice, *ends.get("best_dice", ())),
        "oracle_threshold": Metric(best.threshold),
        "aupro": Metric(_aupro(kept, protocol.aupro_limit)),
    }
    if protocol.aggregate == "pooled":
        found["pixel_ap"] = Metric(curve.average_precision(), *ends.get("pixel_ap", ()))
        found["pixel_auroc"] = Metric(curve.auroc(), *ends.get("pixel_auroc", ()))
    else:
        found |= _means(kept, protocol.aggregate, sure)
    found |= _by_size(kept, protocol.strata)
    if not len(curve.thresholds) or not curve.negatives:
        return found, {}
    return found, {"roc": curve.roc(), "pr": curve.precision_recall(), "dice": curve.dice_curve()}


def image_metrics(units: Sequence[ScoredImage], sure: Bootstrap) -> Figures:
    """Rank whole images."""
    known = [unit for unit in units if not math.isnan(unit.image_score)]
    scores = np.array([unit.image_score for unit in known])
    truth = np.array([unit.anomalous for unit in known], dtype=bool)
    subjects = [unit.subject for unit in known]
    curve = RankCurve.of(scores, truth)
    if math.isnan(curve.auroc()):
        return {"image_auroc": Metric(math.nan), "image_ap": Metric(math.nan)}
    return {
        "image_auroc": sure.of(subjects, lambda rows: rank_pixels(scores[rows], truth[rows])[1]),
        "image_ap": sure.of(subjects, lambda rows: rank_pixels(scores[rows], truth[rows])[0]),
    }


def _pooled(units: Sequence[ScoredImage]) -> RankCurve:
    scores = [unit.scores for unit in units] or [np.zeros(0, np.float32)]
    truth = [unit.truth for unit in units] or [np.zeros(0, bool)]
    return RankCurve.of(np.concatenate(scores), np.concatenate(truth))


class _Grids(Sequence[NDArray[np.generic]]):
    """Grids of units, made when asked for."""

    def __init__(
        self, units: Sequence[ScoredImage], make: Callable[[ScoredImage], NDArray[np.generic]]
    ) -> None:
        self.units, self.make = units, make

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, index: Any) -> Any:
        return self.make(self.units[index])


def _aupro(units: Sequence[ScoredImage], limit: float) -> float:
    if not units:
        return math.nan
    maps = _Grids(units, lambda unit: unit.spread(unit.scores))
    masks = _Grids(units, lambda unit: unit.spread(unit.truth))
    return ProCurve.of(maps, masks, _Grids(units, lambda unit: unit.inside)).area(limit)


def _means(units: Sequence[ScoredImage], aggregate: str, sure: Bootstrap) -> Figures:
    """Mean AP and AUROC of volumes or images; those with one class do not count."""
    named = [(subject, *rank_pixels(scores, truth)) for subject, scores, truth in _parts(units, aggregate)]
    subjects = [one[0] for one in named]
    found = {"pixel_ap": sure.mean(subjects, [one[1] for one in named])}
    found["pixel_auroc"] = sure.mean(subjects, [one[2] for one in named])
    left_out = sum(math.isnan(one[1]) for one in named)
    if left_out:
        message = (
            f"pixel metrics: {left_out} of {len(named)} {aggregate}s left out, as they have one class only"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return found


def _parts(
    units: Sequence[ScoredImage], aggregate: str
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    if aggregate == "image":
        for unit in units:
            for m in split_slices(unit):
                yield unit.subject, unit.scores[m], unit.truth[m]
        return
    volumes: dict[tuple[str, str], list[ScoredImage]] = {}
    for unit in units:
        volumes.setdefault((unit.subject, unit.volume), []).append(unit)
    for same in volumes.values():
        scores, truth = (np.concatenate([getattr(u, n) for u in same]) for n in ("scores", "truth"))
        yield same[0].subject, scores, truth


def _by_size(units: Sequence[ScoredImage], strata: tuple[int, ...]) -> Figures:
    """Pooled AP of the anomalous units whose lesions have a certain size."""
    if not strata:
        return {}
    sick = [unit for unit in units if unit.truth.any()]
    index = np.searchsorted(np.array(strata), [unit.truth.sum() for unit in sick], side="left")
    found = {}
    for i, name in enumerate(SIZES[: len(strata) + 1]):
        some = [unit for unit, k in zip(sick, index, strict=True) if k == i]
        curve = _pooled(some) if some else None
        found[f"pixel_ap_{name}"] = Metric(curve.average_precision() if curve else math.nan)
    return found
