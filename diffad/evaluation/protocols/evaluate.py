"""A set of samples by a protocol: figures with intervals, rows and curves."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from diffad.evaluation.protocols.detections import detection_metrics
from diffad.evaluation.protocols.intervals import Bootstrap
from diffad.evaluation.protocols.metrics import image_metrics, pixel_metrics
from diffad.evaluation.protocols.prepare import prepare_images
from diffad.evaluation.protocols.protocol import Protocol
from diffad.evaluation.protocols.rows import score_image
from diffad.evaluation.protocols.thresholds import fit_thresholds
from diffad.evaluation.protocols.unit import ScoredImage
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
    chosen = PROTOCOLS.build(protocol) if isinstance(protocol, str) else protocol
    if not len(samples):
        raise ValueError("expected at least one sample to score, got none")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        result = _evaluated(samples, chosen, tuning, folds, Bootstrap(resamples * chosen.intervals, seed))
    told = list(dict.fromkeys(str(one.message) for one in caught))
    settings = chosen.to_dict() | {"folds": folds, "resamples": resamples, "seed": seed}
    return replace(result, warnings=[*result.warnings, *told], settings=settings)


def _evaluated(
    samples: Sequence[Sample],
    protocol: Protocol,
    tuning: Sequence[Sample] | None,
    folds: int,
    sure: Bootstrap,
) -> Result:
    units = list(_units(samples, protocol))
    looked_at = tuning is not None and protocol.tuned_on == "tuning"
    others = list(_units(tuning or (), protocol)) if looked_at else None
    at = fit_thresholds(units, protocol, others, folds)
    scored = [score_image(unit, t, protocol) for unit, t in zip(units, at, strict=True)]
    figures, curves = pixel_metrics(units, protocol, sure)
    figures |= detection_metrics(scored, protocol, sure) | image_metrics(units, sure)
    figures["samples"] = Metric(float(len(units)))
    figures["anomalous"] = Metric(float(sum(unit.anomalous for unit in units)))
    said = _warnings(units, others or [], at, protocol.threshold)
    return Result(protocol.name, figures, [one.row for one in scored], curves, said)


def _units(samples: Sequence[Sample], protocol: Protocol) -> Iterator[ScoredImage]:
    for index in range(len(samples)):
        yield from prepare_images(samples[index], protocol)


def _warnings(
    units: Sequence[ScoredImage], tuning: Sequence[ScoredImage], at: Sequence[float], rule: str
) -> list[str]:
    """Say what a reader should know of the set."""
    said = []
    if twice := sorted(name for name, count in Counter(unit.name for unit in units).items() if count > 1):
        said.append(f"{len(twice)} names occur more than once: {_listed(twice)}")
    if leaked := sorted({unit.subject for unit in units} & {unit.subject for unit in tuning}):
        said.append(f"{len(leaked)} subjects are scored and choose the threshold too: {_listed(leaked)}")
    if all(unit.anomalous for unit in units):
        said.append("no healthy samples: false alarms and image metrics are not known")
    without = [unit for unit, t in zip(units, at, strict=True) if math.isnan(t)]
    stored = [unit for unit in without if unit.found is not None]
    if stored and rule != "stored":
        said.append(
            f"{len(stored)} of {len(units)} samples: stored detections are scored for want of a threshold"
        )
    if missing := len(without) - len(stored):
        said.append(f"{missing} of {len(units)} samples: no detections are scored for want of a threshold")
    return said


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
