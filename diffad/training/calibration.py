"""Thresholds of a pipeline, measured on healthy scans: of its maps, and of its sampler where it has one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from diffad.data.items import Dataset
from diffad.inference.calibrating import calibrate_samplers
from diffad.inference.detector import Detector
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
    x, brain = collect_healthy(data)
    sampler = calibrate_samplers(
        pipe.config.sampler,
        lambda spec: pipe.detector(Method(sampler=spec)),
        lambda maps, fpr: _measure_thresholds(maps, x, brain, [fpr]).threshold(fpr),
    )
    pipe.register_to_config(sampler=sampler)
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


def _measure_thresholds(
    detector: Detector, x: Tensor, brain: Tensor, rates: Sequence[float], counts: Sequence[int] | None = None
) -> Calibration:
    # each scan has noise of its own
    maps = detector.maps(x, brain, range(len(x)), counts=counts).anomaly
    return calibrate_thresholds(((m[None], b[None]) for m, b in zip(maps, brain.bool(), strict=True)), rates)
