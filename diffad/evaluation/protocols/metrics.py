"""How well scores rank the pixels and images of a set."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.metrics.pro import ProCurve
from diffad.evaluation.metrics.ranking import RankCurve
from diffad.evaluation.protocols.intervals import Bootstrap
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.rows import rank_pixels, split_slices
from diffad.evaluation.protocols.scored_image import ImageGrids, ScoredImage
from diffad.evaluation.protocols.thresholds import select_pixel_images
from diffad.evaluation.result import Curve, Metric, Metrics

SIZES = ("small", "medium", "large")


def pixel_metrics(
    images: Sequence[ScoredImage], protocol: Protocol, bootstrap: Bootstrap
) -> tuple[Metrics, dict[str, Curve]]:
    """Rank the pixels that count."""
    pixel_images = select_pixel_images(images, protocol)
    curve = _pool_pixels(pixel_images)
    best = curve.best_dice()
    intervals = bootstrap.pooled(pixel_images)
    metrics = {
        "oracle_dice": Metric(best.dice, *intervals.get("best_dice", ())),
        "oracle_threshold": Metric(best.threshold),
        "aupro": Metric(_aupro(pixel_images, protocol)),
    }
    if protocol.aggregate == "pooled":
        metrics["pixel_ap"] = Metric(curve.average_precision(), *intervals.get("pixel_ap", ()))
        metrics["pixel_auroc"] = Metric(curve.auroc(), *intervals.get("pixel_auroc", ()))
    else:
        metrics |= _mean_metrics(pixel_images, protocol.aggregate, bootstrap)
    metrics |= _metrics_by_size(pixel_images, protocol.strata)
    if not len(curve.thresholds) or not curve.negatives:
        return metrics, {}
    return metrics, {"roc": curve.roc(), "pr": curve.precision_recall(), "dice": curve.dice_curve()}


def image_metrics(images: Sequence[ScoredImage], bootstrap: Bootstrap) -> Metrics:
    """Rank whole images."""
    candidates = [image for image in images if not math.isnan(image.image_score)]
    scores = np.array([image.image_score for image in candidates])
    truth = np.array([image.anomalous for image in candidates], dtype=bool)
    subjects = [image.subject for image in candidates]
    curve = RankCurve.of(scores, truth)
    if math.isnan(curve.auroc()):
        return {"image_auroc": Metric(math.nan), "image_ap": Metric(math.nan)}
    return {
        "image_auroc": bootstrap.of(subjects, lambda rows: rank_pixels(scores[rows], truth[rows]).auroc),
        "image_ap": bootstrap.of(subjects, lambda rows: rank_pixels(scores[rows], truth[rows]).ap),
    }


def _pool_pixels(images: Sequence[ScoredImage]) -> RankCurve:
    scores = [image.scores for image in images] or [np.zeros(0, np.float32)]
    truth = [image.truth for image in images] or [np.zeros(0, bool)]
    return RankCurve.of(np.concatenate(scores), np.concatenate(truth))


def _aupro(images: Sequence[ScoredImage], protocol: Protocol) -> float:
    if not images or not protocol.regions:
        return math.nan
    maps = ImageGrids(images, lambda image: image.spread(image.scores))
    masks = ImageGrids(images, lambda image: image.spread(image.truth))
    return ProCurve.of(maps, masks, ImageGrids(images, lambda image: image.mask)).area(protocol.aupro_limit)


def _mean_metrics(images: Sequence[ScoredImage], aggregate: str, bootstrap: Bootstrap) -> Metrics:
    """Mean AP and AUROC of volumes or images; those with one class do not count."""
    rows = [(subject, rank_pixels(*pixels)) for subject, *pixels in _split_pixels(images, aggregate)]
    subjects = [subject for subject, _ in rows]
    gaps = sum(math.isnan(ranking.ap) for _, ranking in rows)
    if gaps:
        count = f"{gaps} of {len(rows)} {aggregate}s"
        message = f"pixel metrics: {count} left out, as they have one class only"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return {
        "pixel_ap": bootstrap.mean(subjects, [ranking.ap for _, ranking in rows]),
        "pixel_auroc": bootstrap.mean(subjects, [ranking.auroc for _, ranking in rows]),
    }


def _split_pixels(
    images: Sequence[ScoredImage], aggregate: str
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    """Give the subject, the scores and the truth of each volume or image."""
    if aggregate == "image":
        for image in images:
            for pixels in split_slices(image):
                yield image.subject, image.scores[pixels], image.truth[pixels]
        return
    volumes: dict[tuple[str, str], list[ScoredImage]] = {}
    for image in images:
        volumes.setdefault((image.subject, image.volume), []).append(image)
    for parts in volumes.values():
        scores, truth = (np.concatenate([getattr(p, name) for p in parts]) for name in ("scores", "truth"))
        yield parts[0].subject, scores, truth


def _metrics_by_size(images: Sequence[ScoredImage], strata: tuple[int, ...]) -> Metrics:
    """Pooled AP of the anomalous images whose lesions have a certain size."""
    if not strata:
        return {}
    anomalous = [image for image in images if image.truth.any()]
    index = np.searchsorted(np.array(strata), [image.truth.sum() for image in anomalous], side="left")
    metrics = {}
    for i, name in enumerate(SIZES[: len(strata) + 1]):
        stratum = [image for image, k in zip(anomalous, index, strict=True) if k == i]
        curve = _pool_pixels(stratum) if stratum else None
        metrics[f"pixel_ap_{name}"] = Metric(curve.average_precision() if curve else math.nan)
    return metrics
