"""Which threshold each image is cut at, and from whom it comes."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.metrics import thresholds as rules
from diffad.evaluation.metrics.subjects import search_mean_dice
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.scored_image import ScoredImage

UP, DOWN = np.float32(np.inf), np.float32(-np.inf)


def fit_thresholds(
    images: Sequence[ScoredImage],
    protocol: Protocol,
    tuning: Sequence[ScoredImage] | None = None,
    folds: int = 0,
) -> list[float]:
    """Give the threshold of each image, NaN where there is none; a RuntimeWarning says why.

    Args:
        images: What is scored.
        protocol: Whose rule is followed.
        tuning: Images of other subjects that the rule may look at.
        folds: Without these: subjects are dealt into so many folds, and the other folds tune each.

    Raises:
        ValueError: If there is one fold.
    """
    if folds == 1 or folds < 0:
        raise ValueError(f"expected folds 0 or at least 2, got {folds}")
    if protocol.threshold == "stored":
        return [math.nan] * len(images)
    if protocol.threshold == "fixed":
        return [protocol.fixed] * len(images)
    if protocol.tuned_on == "test":
        return [fit_rule(images, protocol)] * len(images)
    if tuning is not None:
        return [fit_rule(tuning, protocol)] * len(images)
    if folds:
        return _fit_folds(images, protocol, folds)
    need = "tuning samples or folds"
    _warn(f"no threshold: the rule {protocol.threshold!r} needs {need}; give one of the two")
    return [math.nan] * len(images)


def fit_rule(images: Sequence[ScoredImage], protocol: Protocol) -> float:
    """Apply the rule to images; NaN and a RuntimeWarning where it cannot be."""
    healthy = [image.scores for image in images if not image.anomalous]
    pixel_images = select_pixel_images(images, protocol)
    by_health = protocol.threshold.startswith("healthy")
    if by_health and not healthy:
        _warn(f"no threshold: the rule {protocol.threshold!r} needs healthy samples, got none")
        return math.nan
    if not by_health and not any(image.truth.any() for image in pixel_images):
        _warn(f"no threshold: the rule {protocol.threshold!r} needs lesions, got none")
        return math.nan
    try:
        return _fit_healthy(healthy, protocol) if by_health else _fit_dice(pixel_images, protocol)
    except ValueError as error:
        _warn(f"no threshold by the rule {protocol.threshold!r}: {error}")
        return math.nan


def select_pixel_images(images: Sequence[ScoredImage], protocol: Protocol) -> list[ScoredImage]:
    """Give the images whose pixels count."""
    small = {id(i) for i in images if i.anomalous and i.truth.sum() < protocol.least_lesion}
    large = [image for image in images if id(image) not in small]
    return [image for image in large if image.anomalous or protocol.pixel_samples == "all"]


def assign_folds(images: Sequence[ScoredImage], folds: int) -> dict[str, int]:
    """Deal subjects out by the hash of their names, those with healthy images first."""
    healthy = {image.subject for image in images if not image.anomalous}
    subjects = {image.subject for image in images}
    order = sorted(subjects, key=lambda name: (name not in healthy, _hash(name)))
    return {subject: index % folds for index, subject in enumerate(order)}


def _fit_folds(images: Sequence[ScoredImage], protocol: Protocol, folds: int) -> list[float]:
    fold_of = assign_folds(images, folds)
    numbers = sorted(set(fold_of.values()))
    if len(numbers) < folds:
        _warn(f"expected at least {folds} subjects for {folds} folds, got {len(fold_of)}")
    threshold_of = {k: fit_rule([i for i in images if fold_of[i.subject] != k], protocol) for k in numbers}
    return [threshold_of[fold_of[image.subject]] for image in images]


def _fit_healthy(maps: Sequence[np.ndarray], protocol: Protocol) -> float:
    if protocol.threshold == "healthy_grid":
        grid = np.linspace(*protocol.grid)
        threshold = rules.search_healthy_grid(maps, protocol.fpr, grid).threshold
    else:
        threshold = rules.search_healthy(np.concatenate(maps), protocol.fpr).threshold
    return _next_above(threshold) if protocol.comparison == ">=" else threshold


def group_pixels(
    images: Sequence[ScoredImage], protocol: Protocol
) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Give the scores and the truth of what the mean Dice is a mean over: subjects, volumes or images."""
    groups: dict[tuple[str, ...], list[ScoredImage]] = {}
    for image in images:
        names = {"subject": (image.subject,), "volume": (image.subject, image.volume)}
        groups.setdefault(names.get(protocol.dice_aggregate, (image.name,)), []).append(image)
    return [
        (np.concatenate([part.scores for part in parts]), np.concatenate([part.truth for part in parts]))
        for parts in groups.values()
    ]


def _fit_dice(images: Sequence[ScoredImage], protocol: Protocol) -> float:
    if protocol.threshold == "mean_dice":
        return search_mean_dice(group_pixels(images, protocol), protocol.steps, protocol.comparison).threshold
    scores = np.concatenate([image.scores for image in images])
    truth = np.concatenate([image.truth for image in images])
    if protocol.threshold == "grid":
        return rules.search_grid(scores, truth, np.linspace(*protocol.grid), protocol.comparison).threshold
    if protocol.threshold in ("order", "bisection"):
        search = {"order": rules.search_order, "bisection": rules.search_bisection}[protocol.threshold]
        threshold = search(scores, truth, protocol.steps).threshold
        return _next_above(threshold) if protocol.comparison == ">=" else threshold
    best = rules.search_exact(scores, truth).threshold
    return _next_below(best) if protocol.comparison == ">" else best


def _next_above(threshold: float) -> float:
    """Cut with >= as > cuts at the threshold: scores are in single precision."""
    return float(np.nextafter(np.float32(threshold), UP))


def _next_below(threshold: float) -> float:
    """Cut with > as >= cuts at the threshold."""
    return float(np.nextafter(np.float32(threshold), DOWN))


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)
