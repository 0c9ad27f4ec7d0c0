"""Each image at its threshold: what is detected, and its own metrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from diffad.evaluation.metrics.lesions import LesionCounts, lesion_wise
from diffad.evaluation.metrics.overlap import Counts
from diffad.evaluation.metrics.ranking import BestDice, RankCurve
from diffad.evaluation.metrics.surface import hd95, surface_dice
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.evaluation.samples import Bools
from diffad.inference.postprocess import remove_small

STRATA = (71, 570)
NAN = math.nan


@dataclass(frozen=True)
class ScoreRow:
    """An image and how good its detections are.

    Args:
        image: The image.
        row: Its metrics by name.
        counts: Overlap of detections and truth, or none without a threshold.
        slice_counts: The same by slice.
        lesions: Lesions detected and missed, and false detections; or none.
    """

    image: ScoredImage
    row: dict[str, Any]
    counts: Counts | None = None
    slice_counts: tuple[Counts, ...] = ()
    lesions: LesionCounts | None = None


class Ranking(NamedTuple):
    """Metrics over all thresholds.

    Args:
        ap: Average precision.
        auroc: Area under the ROC curve.
        best: Best Dice and its threshold, which only an oracle knows.
    """

    ap: float
    auroc: float
    best: BestDice


def score_image(image: ScoredImage, threshold: float, protocol: Protocol) -> ScoreRow:
    """Give the row of an image; what needs a threshold is NaN without one."""
    row = _describe_image(image) | {"threshold": threshold}
    detections = detect_pixels(image, threshold, protocol)
    if detections is None:
        return ScoreRow(image, row | dict.fromkeys(DETECTION_KEYS, NAN))
    counts = Counts.of(detections, image.truth)
    empty = NAN if protocol.empty is None else protocol.empty
    row |= {"dice": counts.dice(empty), "precision": counts.precision()}
    row |= {"recall": counts.recall(), "fpr": counts.fpr(), "flagged": counts.tp + counts.fp}
    lesions = _score_regions(image, detections, row, protocol) if protocol.regions else None
    slice_counts: tuple[Counts, ...] = (counts,)
    if protocol.dice_aggregate == "image":
        slice_counts = tuple(Counts.of(detections[m], image.truth[m]) for m in split_slices(image))
    return ScoreRow(image, row, counts, slice_counts, lesions)


DETECTION_KEYS = (
    *("dice", "precision", "recall", "fpr", "flagged", "hd95", "surface_dice"),
    *("lesions_found", "lesions_missed", "lesions_false"),
)
"""Keys of a row that need a threshold."""


def _describe_image(image: ScoredImage) -> dict[str, Any]:
    ranking = rank_pixels(image.scores, image.truth)
    return {
        "name": image.name,
        "subject": image.subject,
        "group": image.group,
        "anomalous": image.anomalous,
        "image_score": image.image_score,
        "voxels": len(image.scores),
        "lesion_voxels": int(image.truth.sum()),
        "pixel_ap": ranking.ap,
        "pixel_auroc": ranking.auroc,
        "oracle_dice": ranking.best.dice,
        "oracle_threshold": ranking.best.threshold,
    }


def detect_pixels(image: ScoredImage, threshold: float, protocol: Protocol) -> Bools | None:
    """Give the detections among the pixels that count, (N,), or none without a threshold."""
    if math.isnan(threshold):
        return image.detections
    limit = image.scores.dtype.type(threshold)
    above = image.scores > limit if protocol.comparison == ">" else image.scores >= limit
    if protocol.min_size < 2:
        return np.asarray(above)
    grid = torch.from_numpy(image.spread(above))[None, None]
    detections: Bools = remove_small(grid, protocol.min_size, filled=protocol.filled)[0, 0].numpy()
    return detections[image.mask]


def split_slices(image: ScoredImage) -> Iterator[Bools]:
    """Give the pixels that count of each slice, as masks (N,)."""
    index = image.slice_index()
    for value in np.unique(index):
        yield index == value


def rank_pixels(scores: ArrayLike, truth: ArrayLike) -> Ranking:
    """Give the metrics over all thresholds, NaN and no warning with one class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        curve = RankCurve.of(scores, truth)
        return Ranking(curve.average_precision(), curve.auroc(), curve.best_dice())


def _score_regions(
    image: ScoredImage, detections: Bools, row: dict[str, Any], protocol: Protocol
) -> LesionCounts:
    pred, truth = image.spread(detections), image.spread(image.truth)
    lesions = lesion_wise(pred, truth, strata=STRATA)
    has_lesion = bool(image.truth.any())
    has_both = has_lesion and bool(detections.any())
    row["hd95"] = hd95(pred, truth, image.edges) if has_both else NAN
    row["surface_dice"] = surface_dice(pred, truth, image.edges, protocol.tolerance_mm) if has_lesion else NAN
    row |= {"lesions_found": lesions.found, "lesions_missed": lesions.missed}
    row["lesions_false"] = lesions.false
    return lesions
