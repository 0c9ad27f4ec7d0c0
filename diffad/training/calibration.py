"""Thresholds of a pipeline, measured on healthy scans: of its maps, and of its sampler where it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from diffad.data.items import Dataset
from diffad.inference.detector import Detector
from diffad.inference.postprocess import Postprocess
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
    _calibrate_sampler(pipe, x, brain)
    # the rate that makes the masks must be among those calibrated
    wanted = sorted({*rates, pipe.config.postprocess["fpr"]})
    pipe.register_to_config(calibration=_measured(pipe.detector(), x, brain, wanted).to_dict())


def collect_healthy(data: Dataset) -> tuple[Tensor, Tensor]:
    """Return images (N, C, *S) and brain masks (N, 1, *S) of all scans that are not labelled as diseased.

    Raises:
        ValueError: If there is none.
    """
    items = [item for item in (data[i] for i in range(len(data))) if item.label != 1]
    if not items:
        raise ValueError(f"expected healthy scans to calibrate on, found {len(data)} diseased ones")
    return torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])


def _calibrate_sampler(pipe: AnomalyPipeline, x: Tensor, brain: Tensor) -> None:
    """Give a sampler that cuts a map of its own the threshold of that map, before its maps are measured."""
    detector = pipe.detector()
    sampler: Any = detector.sampler
    if not hasattr(sampler, "calibrating") or sampler.calibrated():
        return
    first, likelihood = sampler.calibrating()
    plain = Postprocess(median=1)
    found = _measured(replace(detector, sampler=first, score=likelihood, post=plain), x, brain, [sampler.fpr])
    threshold = next(iter(found.thresholds.values()))
    pipe.register_to_config(sampler={**pipe.config.sampler, "threshold": threshold})


def _measured(detector: Detector, x: Tensor, brain: Tensor, rates: Sequence[float]) -> Calibration:
    maps = detector.maps(x, brain, [0] * len(x)).anomaly
    return calibrate_thresholds(((m[None], b[None]) for m, b in zip(maps, brain.bool(), strict=True)), rates)
