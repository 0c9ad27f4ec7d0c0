"""Each unit at its threshold: what is detected, and its own figures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from diffad.evaluation.metrics.lesions import LesionCounts, lesion_wise
from diffad.evaluation.metrics.overlap import Counts
from diffad.evaluation.metrics.ranking import RankCurve
from diffad.evaluation.metrics.surface import hd95, surface_dice
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.unit import ScoredImage
from diffad.evaluation.samples import Bools
from diffad.inference.postprocess import remove_small

STRATA = (71, 570)
NAN = math.nan


@dataclass(frozen=True)
class ScoreRow:
    """A unit and what was found in it.

    Args:
        unit: The unit.
        row: Its figures by name.
        counts: Overlap of detection and truth, or none without a threshold.
        parts: The same by slice.
        lesions: Lesions found, missed and false, or none.
    """

    unit: ScoredImage
    row: dict[str, Any]
    counts: Counts | None = None
    parts: tuple[Counts, ...] = ()
    lesions: LesionCounts | None = None


def score_image(unit: ScoredImage, threshold: float, protocol: Protocol) -> ScoreRow:
    """Give the row of a unit; what needs a threshold is NaN without one."""
    row = {
        "name": unit.name,
        "subject": unit.subject,
        "group": unit.group,
        "anomalous": unit.anomalous,
        "image_score": unit.image_score,
        "lesion_voxels": int(unit.truth.sum()),
        "pixel_ap": rank_pixels(unit.scores, unit.truth)[0],
        "threshold": threshold,
    }
    found = detect_pixels(unit, threshold, protocol)
    if found is None:
        return ScoreRow(unit, row | dict.fromkeys(DETECTED, NAN))
    counts = Counts.of(found, unit.truth)
    empty = NAN if protocol.empty is None else protocol.empty
    row |= {"dice": counts.dice(empty), "precision": counts.precision()}
    row |= {"recall": counts.recall(), "fpr": counts.fpr(), "flagged": counts.tp + counts.fp}
    lesions = _regions(unit, found, row, protocol) if protocol.regions else None
    by_image = protocol.dice_aggregate == "image"
    parts = tuple(Counts.of(found[m], unit.truth[m]) for m in split_slices(unit)) if by_image else (counts,)
    return ScoreRow(unit, row, counts, parts, lesions)


DETECTED = (
    *("dice", "precision", "recall", "fpr", "flagged", "hd95", "surface_dice"),
    *("lesions_found", "lesions_missed", "lesions_false"),
)


def detect_pixels(unit: ScoredImage, threshold: float, protocol: Protocol) -> Bools | None:
    """Give the detections among the pixels that count, (N,), or none without a threshold."""
    if math.isnan(threshold):
        return unit.found
    at = unit.scores.dtype.type(threshold)
    above = unit.scores > at if protocol.comparison == ">" else unit.scores >= at
    if protocol.min_size < 2:
        return np.asarray(above)
    grid = torch.from_numpy(unit.spread(above))[None, None]
    kept: Bools = remove_small(grid, protocol.min_size, filled=protocol.filled)[0, 0].numpy()
    return kept[unit.inside]


def split_slices(unit: ScoredImage) -> Iterator[Bools]:
    """Give the pixels that count of each slice, as masks (N,)."""
    images = unit.images()
    for index in np.unique(images):
        yield images == index


def rank_pixels(scores: Any, truth: Any) -> tuple[float, float]:
    """Give AP and AUROC, NaN and no warning with one class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        curve = RankCurve.of(scores, truth)
        return curve.average_precision(), curve.auroc()


def _regions(unit: ScoredImage, found: Bools, row: dict[str, Any], protocol: Protocol) -> LesionCounts:
    pred, truth = unit.spread(found), unit.spread(unit.truth)
    lesions = lesion_wise(pred, truth, strata=STRATA)
    both = bool(found.any()) and bool(unit.truth.any())
    row["hd95"] = hd95(pred, truth, unit.edges) if both else NAN
    marked = bool(unit.truth.any())
    row["surface_dice"] = surface_dice(pred, truth, unit.edges, protocol.tolerance_mm) if marked else NAN
    row |= {"lesions_found": lesions.found, "lesions_missed": lesions.missed}
    row["lesions_false"] = lesions.false
    return lesions
