"""A set of samples by a protocol: metrics with intervals, rows and curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from diffad.evaluation.protocols.detections import detection_metrics
from diffad.evaluation.protocols.estimated import best_mean_dice, estimated_metrics
from diffad.evaluation.protocols.intervals import Bootstrap
from diffad.evaluation.protocols.metrics import image_metrics, pixel_metrics
from diffad.evaluation.protocols.prepare import ImageSet, record_warnings
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.rows import score_image
from diffad.evaluation.protocols.scored_image import ScoredImage
from diffad.evaluation.protocols.thresholds import fit_thresholds
from diffad.evaluation.result import Metric, Result
from diffad.evaluation.samples import Sample
from diffad.registry import PROTOCOLS


def evaluate_samples(
    samples: Sequence[Sample],
    protocol: Protocol | str,
    tuning: Sequence[Sample] | None = None,
    folds: int = 0,
    resamples: int = 1000,
    seed: int = 0,
) -> Result:
    """Score samples as a protocol says.

    What cannot be said is NaN, and a warning of the result says why. Each sample is asked for once, and only
    the pixels that count are kept of it.

    Args:
        samples: What is scored; may load its samples when asked.
        protocol: A protocol, or the name of one.
        tuning: Samples of other subjects that choose the threshold, healthy ones for the rule "healthy".
        folds: Without these: the threshold of each fold of subjects comes from the other folds.
        resamples: Resamples of the subjects for intervals; 0 makes none.
        seed: Seed of the resamples.

    Raises:
        UnknownNameError: If there is no such protocol.
        ValueError: If there is no sample, there is one fold, or slices are needed along an unknown axis.
    """
    rules = PROTOCOLS.build(protocol) if isinstance(protocol, str) else protocol
    if not len(samples):
        raise ValueError("expected at least one sample to score, got none")
    image_set, tuning_set = _prepare_set(samples, rules), None
    if tuning is not None and rules.tuned_on == "tuning":
        tuning_set = _prepare_set(tuning, rules)
    return evaluate_images(image_set, tuning_set, folds, resamples, seed)


def _prepare_set(samples: Sequence[Sample], protocol: Protocol) -> ImageSet:
    image_set = ImageSet(protocol)
    for index in range(len(samples)):
        image_set.add(samples[index])
    return image_set


def evaluate_images(
    image_set: ImageSet,
    tuning_set: ImageSet | None = None,
    folds: int = 0,
    resamples: int = 1000,
    seed: int = 0,
) -> Result:
    """Score images as the protocol says that they were prepared for; see ``evaluate_samples``.

    Args:
        image_set: What is scored.
        tuning_set: Images of other subjects that choose the threshold, or none.
        folds: As for ``evaluate_samples``.
        resamples: As for ``evaluate_samples``.
        seed: As for ``evaluate_samples``.
    """
    protocol = image_set.protocol
    messages = [*image_set.warnings, *(tuning_set.warnings if tuning_set else ())]
    with record_warnings(messages):
        result = _score_images(
            image_set.images,
            protocol,
            None if tuning_set is None else tuning_set.images,
            folds,
            Bootstrap(resamples * protocol.intervals, seed),
        )
    settings = protocol.to_dict() | {"folds": folds, "resamples": resamples, "seed": seed}
    return replace(result, warnings=[*result.warnings, *dict.fromkeys(messages)], settings=settings)


def _score_images(
    images: Sequence[ScoredImage],
    protocol: Protocol,
    tuning: Sequence[ScoredImage] | None,
    folds: int,
    bootstrap: Bootstrap,
) -> Result:
    thresholds = fit_thresholds(images, protocol, tuning, folds)
    rows = [score_image(i, threshold, protocol) for i, threshold in zip(images, thresholds, strict=True)]
    metrics, curves = pixel_metrics(images, protocol, bootstrap)
    metrics |= detection_metrics(rows, protocol, bootstrap) | image_metrics(images, bootstrap)
    metrics |= estimated_metrics(images, protocol, tuning, folds) | best_mean_dice(images, protocol)
    metrics["samples"] = Metric(float(len(images)))
    metrics["anomalous"] = Metric(float(sum(image.anomalous for image in images)))
    warnings = _describe_set(images, tuning or [], thresholds, protocol.threshold)
    return Result(protocol.name, metrics, [row.row for row in rows], curves, warnings)


def _describe_set(
    images: Sequence[ScoredImage], tuning: Sequence[ScoredImage], thresholds: Sequence[float], rule: str
) -> list[str]:
    """Say what a reader should know of the set."""
    warnings = []
    if repeats := sorted(
        name for name, count in Counter(image.name for image in images).items() if count > 1
    ):
        warnings.append(f"{len(repeats)} names occur more than once: {_list_names(repeats)}")
    if leaks := sorted({image.subject for image in images} & {image.subject for image in tuning}):
        names = _list_names(leaks)
        warnings.append(f"{len(leaks)} subjects are scored and choose the threshold too: {names}")
    if all(image.anomalous for image in images):
        warnings.append("no healthy samples: false alarms and image metrics are undefined")
    uncut = [image for image, t in zip(images, thresholds, strict=True) if math.isnan(t)]
    ready = sum(image.detections is not None for image in uncut)
    if ready and rule != "stored":
        count = f"{ready} of {len(images)} samples"
        warnings.append(f"{count}: stored detections are scored for want of a threshold")
    if rest := len(uncut) - ready:
        count = f"{rest} of {len(images)} samples"
        warnings.append(f"{count}: no detections are scored for want of a threshold")
    return warnings


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
