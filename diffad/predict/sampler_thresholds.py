"""What a sampler cuts of its own, measured on healthy scans before their maps are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import PartSpec
from diffad.inference.calibrating import calibrate_samplers
from diffad.inference.detector import DetectorRun
from diffad.inference.scan_windows import measure_windows
from diffad.inference.scope import ModelScope
from diffad.inference.slice_range import choose_slices
from diffad.inference.stack_placing import place_stack
from diffad.inference.stacking import make_stacks
from diffad.io.subjects import Subject
from diffad.pipeline import AnomalyPipeline
from diffad.predict.healthy_files import read_healthy_source
from diffad.predict.options import Options
from diffad.threshold import calibrate_thresholds


def calibrate_own_sampler(
    pipe: AnomalyPipeline, subjects: Sequence[Subject], options: Options, mask: str | Path | None
) -> Options:
    """Measure what the sampler asked for cuts of its own, if it does; return the options with it.

    Args:
        pipe: The model.
        subjects: Healthy scans; those that cannot be used are passed over.
        options: How they are looked at.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
    """
    settings: dict[str, Any] = {
        "seed": options.seed,
        "batch_size": options.batch_size,
        "precision": options.precision,
    }

    def build(sampler: PartSpec) -> DetectorRun:
        return pipe.detector(replace(options.method, sampler=sampler), **settings)

    known_mm = ModelScope.of(pipe.config).range_mm

    def measure(maps: DetectorRun, fpr: float) -> float:
        values = []
        for subject in subjects:
            with suppress(ValueError, OSError):  # the scan is named when it is scored
                values.append(_score_subject(maps, subject, options, mask, known_mm))
        return calibrate_thresholds(((v, None) for v in values), [fpr]).threshold(fpr)

    own = options.method.over(pipe.method).sampler
    sampler = calibrate_samplers(own, build, measure) if own else own
    return options if sampler == own else replace(options, sampler=sampler)


def _score_subject(
    maps: DetectorRun,
    subject: Subject,
    options: Options,
    mask: str | Path | None,
    known_mm: tuple[float, float] | None,
) -> Tensor:
    """Return the scores of a scan inside the brain, on the model's grid."""
    source = read_healthy_source(subject, options, mask)
    values, space = [], maps.space.config
    selection = choose_slices(source, space.axis, options.slices, known_mm)
    stacks = make_stacks(source, space.axis, selection.slices, space.neighbours)
    for stack, window in zip(stacks, measure_windows(source, maps.space), strict=True):
        placed = place_stack(replace(stack, window=window), maps.space)
        result = maps.maps(placed.image, placed.brain, stack.keys, neighbours=placed.neighbours)
        values.append(result.anomaly[placed.brain > 0])
    return torch.cat(values)
