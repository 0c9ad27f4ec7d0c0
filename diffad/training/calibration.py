"""Thresholds of a pipeline, measured on healthy scans: of its maps, and of its sampler where it has one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from diffad.data.items import Dataset, HoldsScans
from diffad.data.neighbours import stack_neighbours
from diffad.data.place import tabulate_places
from diffad.inference.calibrating import calibrate_contrasts, calibrate_samplers, keep_raw_maps
from diffad.inference.detector import DetectorRun
from diffad.inference.healthy_scans import HealthyScan
from diffad.io.terminal import say
from diffad.method import Method
from diffad.pipeline import AnomalyPipeline
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
    sampler = calibrate_samplers(
        pipe.config.sampler,
        lambda spec: pipe.detector(Method(sampler=spec)),
        lambda maps, fpr: _measure_thresholds(maps, data, [fpr]).threshold(fpr),
    )
    pipe.register_to_config(sampler=sampler)
    if scans := _look_at_scans(pipe, data):
        calibrate_contrasts(pipe, scans, rates, whole=getattr(data, "slices", None) is None)
        return
    _forget_volumes(pipe)
    # the rate that makes the masks must be among those calibrated
    rates = sorted({*rates, pipe.config.postprocess["fpr"]})
    calibration = _measure_thresholds(pipe.detector(), data, rates, count_healthy_slices(data))
    pipe.register_to_config(calibration=calibration.to_dict())


def _forget_volumes(pipe: AnomalyPipeline) -> None:
    """Set what maps of volumes alone can have to what those of slices have, and say so."""
    neutral = {"normalise": ("none", "normalised by place"), "across": (0.0, "smoothed across slices")}
    for key, (value, words) in neutral.items():
        if pipe.config.postprocess[key] != value:
            say(f"note: maps are not {words}, as the validation data are no volumes")
            pipe.register_to_config(postprocess={**pipe.config.postprocess, key: value})


def _look_at_scans(pipe: AnomalyPipeline, data: Dataset) -> list[HealthyScan]:
    """Look at the whole healthy scans behind the data as in use; none where the data are no volumes."""
    if not isinstance(data, HoldsScans):
        return []
    slices = getattr(data, "slices", None) if pipe.config.space["axis"] != "volume" else None
    call: dict[str, Any] = {"slices": slices, "threshold": math.inf}
    with keep_raw_maps(pipe):
        return [HealthyScan.of(pipe(scan, brain, **call), site) for site, scan, brain in data.read_scans()]


def collect_healthy(data: Dataset) -> tuple[Tensor, Tensor]:
    """Return images (N, C, *S) and brain masks (N, 1, *S) of all scans that are not labelled as diseased.

    Raises:
        ValueError: If there is none.
    """
    items = [item for item in (data[i] for i in range(len(data))) if item.label != 1]
    if not items:
        raise ValueError(f"expected healthy scans to calibrate on, found {len(data)} diseased ones")
    return torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])


def collect_healthy_places(data: Dataset) -> Tensor:
    """Return the places (N, 2) of the items that ``collect_healthy`` returns, in their order."""
    items = (data[i] for i in range(len(data)))
    return tabulate_places([item.place for item in items if item.label != 1])


def collect_healthy_neighbours(data: Dataset) -> Tensor:
    """Return the neighbours (N, 2 N' C, *S) of the items that ``collect_healthy`` returns, in their order."""
    items = (data[i] for i in range(len(data)))
    return stack_neighbours([item for item in items if item.label != 1])


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


def _measure_thresholds(
    detector: DetectorRun, data: Dataset, rates: Sequence[float], counts: Sequence[int] | None = None
) -> Calibration:
    x, brain = collect_healthy(data)
    known = {"where": collect_healthy_places(data), "neighbours": collect_healthy_neighbours(data)}
    # each scan has noise of its own
    maps = detector.maps(x, brain, range(len(x)), counts=counts, **known).anomaly
    return calibrate_thresholds(((m[None], b[None]) for m, b in zip(maps, brain.bool(), strict=True)), rates)
