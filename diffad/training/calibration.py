"""Thresholds of a pipeline, measured on healthy scans: of its maps, and of its sampler where it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import Place, list_parts
from diffad.data.items import Dataset
from diffad.inference.detector import Detector
from diffad.inference.postprocess import Postprocess
from diffad.pipeline import AnomalyPipeline
from diffad.protocols import CalibratesThreshold
from diffad.threshold import Calibration, calibrate_thresholds


def calibrate_pipeline(pipe: AnomalyPipeline, data: Dataset, rates: Sequence[float]) -> None:
    """Measure the thresholds of a pipeline and store them in its config.

    Args:
        pipe: The pipeline.
        data: Scans it was not trained on; those labelled as diseased are left out.
        rates: False-positive rates of pixels.

    Raises:
        ValueError: If there is no healthy scan.
    """
    x, brain = collect_healthy(data)
    _calibrate_sampler(pipe, x, brain)
    # the rate that makes the masks must be among those calibrated
    rates = sorted({*rates, pipe.config.postprocess["fpr"]})
    calibration = _measure_thresholds(pipe.detector(), x, brain, rates, count_healthy_slices(data))
    pipe.register_to_config(calibration=calibration.to_dict())


def collect_healthy(data: Dataset) -> tuple[Tensor, Tensor]:
    """Return images (N, C, *S) and brain masks (N, 1, *S) of all scans that are not labelled as diseased.

    Raises:
        ValueError: If there is none.
    """
    items = [item for item in (data[i] for i in range(len(data))) if item.label != 1]
    if not items:
        raise ValueError(f"expected healthy scans to calibrate on, found {len(data)} diseased ones")
    return torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])


def count_healthy_slices(data: Dataset) -> list[int]:
    """Return how many of the items that ``collect_healthy`` returns are slices of each scan, in their order.

    Data that do not say what they were cut from, in ``slice_counts``, are images on their own.
    """
    counts = getattr(data, "slice_counts", [1] * len(data))
    ends = list(accumulate(counts))
    healthy = [
        sum(data[i].label != 1 for i in range(end - n, end)) for n, end in zip(counts, ends, strict=True)
    ]
    return [count for count in healthy if count]


def _calibrate_sampler(pipe: AnomalyPipeline, x: Tensor, brain: Tensor) -> None:
    """Give every sampler that cuts a map of its own the threshold of that map, the innermost first.

    This comes before the maps of the pipeline are measured.
    """
    while (match := _find_uncalibrated(detector := pipe.detector())) is not None:
        place, sampler = match
        first_sampler, likelihood = sampler.calibrating()
        maps = replace(detector, sampler=first_sampler, score=likelihood, post=Postprocess(median=1))
        thresholds = _measure_thresholds(maps, x, brain, [sampler.fpr]).thresholds
        threshold = next(iter(thresholds.values()))
        pipe.register_to_config(sampler=_set_threshold(pipe.config.sampler, place, threshold))


def _find_uncalibrated(detector: Detector) -> tuple[Place, CalibratesThreshold] | None:
    for place, part in list_parts(detector.sampler):
        if isinstance(part, CalibratesThreshold) and not part.calibrated():
            return place, part
    return None


def _set_threshold(spec: Any, place: Place, threshold: float) -> Any:
    """Return the mapping of a sampler in which the one at a place has a threshold."""
    if not place:
        return {**spec, "threshold": threshold}
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        return [_set_threshold(s, rest, threshold) if i == key else s for i, s in enumerate(spec)]
    return {**spec, key: _set_threshold(spec[key], rest, threshold)}


def _measure_thresholds(
    detector: Detector, x: Tensor, brain: Tensor, rates: Sequence[float], counts: Sequence[int] | None = None
) -> Calibration:
    maps = detector.maps(x, brain, [0] * len(x), counts=counts).anomaly
    return calibrate_thresholds(((m[None], b[None]) for m, b in zip(maps, brain.bool(), strict=True)), rates)
