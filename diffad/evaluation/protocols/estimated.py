"""What a cut that never saw a lesion is worth, beside the best one that only the truth knows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diffad.evaluation.metrics.overlap import Counts
from diffad.evaluation.metrics.subjects import search_mean_dice
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.rows import detect_pixels
from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.evaluation.protocols.thresholds import fit_thresholds, group_pixels, select_pixel_images
from diffad.evaluation.result import Metric, Metrics

FOLDS = 2
"""Folds of subjects that estimate the cut of each other, where neither tuning samples nor folds are given."""


KEYS = ("estimated_dice", "estimated_threshold", "estimated_fpr")


def estimated_metrics(
    images: Sequence[ScoredImage],
    protocol: Protocol,
    tuning: Sequence[ScoredImage] | None = None,
    folds: int = 0,
) -> Metrics:
    r"""Score the cut that a share ``fpr`` of the healthy pixels of other subjects exceeds.

    Dice is that of the same pooled pixels as ``oracle_dice``, so that both can be set side by side; NaN where
    nobody healthy is left to estimate from.

    Args:
        images: What is scored.
        protocol: Its rate ``fpr``, its comparison, and its least size of detections hold.
        tuning: Images of other subjects that estimate; or none.
        folds: Without these: folds of subjects, each of which is cut by what the others say; 0 makes two.

    Returns:
        ``estimated_dice``, ``estimated_threshold`` (mean over the folds) and ``estimated_fpr``, the share of
        the healthy pixels scored that it flags.
    """
    if protocol.threshold == "stored":
        return {}
    rule = replace(protocol, threshold="healthy", tuned_on="tuning")
    with warnings.catch_warnings():  # the reader is told by a dash
        warnings.simplefilter("ignore", RuntimeWarning)
        thresholds = fit_thresholds(images, rule, tuning, folds or FOLDS)
    if any(math.isnan(threshold) for threshold in thresholds):
        return dict.fromkeys(KEYS, Metric(math.nan))
    cuts = list(zip(images, thresholds, strict=True))
    chosen = {id(image) for image in select_pixel_images(images, protocol)}
    lesioned = _sum_counts([(image, t) for image, t in cuts if id(image) in chosen], protocol)
    healthy = _sum_counts([(image, t) for image, t in cuts if not image.anomalous], protocol)
    dice = lesioned.dice() if lesioned.tp + lesioned.fn else math.nan
    values = (dice, float(np.mean(np.unique(thresholds))), healthy.fpr())
    return {key: Metric(value) for key, value in zip(KEYS, values, strict=True)}


def best_mean_dice(images: Sequence[ScoredImage], protocol: Protocol) -> Metrics:
    """Say how high one cut could bring the mean Dice, for protocols whose cut is chosen by it."""
    if protocol.threshold != "mean_dice":
        return {}
    groups = group_pixels(select_pixel_images(images, protocol), protocol)
    best = search_mean_dice(groups, protocol.steps, protocol.comparison)
    return {"oracle_mean_dice": Metric(best.dice)}


def _sum_counts(cuts: Sequence[tuple[ScoredImage, float]], protocol: Protocol) -> Counts:
    total = Counts()
    for image, threshold in cuts:
        detections = detect_pixels(image, threshold, protocol)
        assert detections is not None
        total += Counts.of(detections, image.truth)
    return total
