"""What a calibrated model finds of lesions implanted in healthy scans, at each of its thresholds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from scipy import ndimage
from torch import Tensor

from diffad.data.lesions import KINDS, implant
from diffad.data.volume import Volume
from diffad.inference.calibrating import group_by_contrast, keep_contrast
from diffad.inference.contrasts import find_contrast
from diffad.io.subjects import Subject
from diffad.io.terminal import Progress, format_error, say
from diffad.pipeline import AnomalyPipeline
from diffad.predict.healthy_files import read_healthy
from diffad.predict.options import Options
from diffad.threshold import Calibration
from diffad.threshold.detection_rates import describe_detection_rates, pool_detection_rates
from diffad.threshold.sensitivity import (
    LesionSample,
    Sensitivity,
    describe_sensitivity,
    measure_sensitivity,
)

RADII_MM = (12.0, 7.0, 4.5, 2.7)
"""Radii of the lesions of a scan, the largest first: about 7, 1.4, .4 and .08 ml."""
GAP_MM = 6.0
"""Least distance between two of them."""


def measure_on_lesions(
    pipe: AnomalyPipeline,
    subjects: Sequence[Subject],
    options: Options,
    mask: str | Path | None = None,
    seed: int = 0,
) -> list[Sensitivity]:
    """Implant lesions of every kind and several sizes in healthy scans, and measure what is found of them.

    Each kind has a copy of the scan of its own, with one lesion of each size in it. The table becomes a part
    of the model's calibration.

    Args:
        pipe: A model that was calibrated on whole scans.
        subjects: Healthy scans.
        options: How they were looked at when it was calibrated.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
        seed: Seed of places and shapes.

    Raises:
        ValueError: If no scan can be used, or the model is not calibrated.
    """
    if not pipe.config.calibration:
        raise ValueError("expected a calibrated model, whose thresholds are to be measured, got none")
    calibration = Calibration.from_dict(pipe.config.calibration)
    samples = list(_list_samples(pipe, subjects, options, mask, seed))
    if not samples:
        raise ValueError("expected at least one healthy scan to implant lesions in, got none")
    rows = measure_samples(pipe, calibration, samples)
    pipe.register_to_config(calibration=replace(calibration, sensitivity=tuple(rows)).to_dict())
    return rows


def measure_samples(
    pipe: AnomalyPipeline, calibration: Calibration, samples: Sequence[LesionSample]
) -> list[Sensitivity]:
    """Measure what each threshold of a model finds, above the volume that its detections must exceed.

    Args:
        pipe: The model.
        calibration: Its thresholds.
        samples: Maps with known lesions.
    """
    clusters = calibration.whole.clusters if calibration.whole else None
    rule = pipe.config.postprocess["clusters"]
    limits = {rate: clusters.limit(rule, rate) if clusters else 0.0 for rate in calibration.thresholds}
    return measure_sensitivity(samples, calibration.thresholds, limits)


def describe_lesions(
    pipe: AnomalyPipeline, subjects: Sequence[Subject], options: Options, mask: str | Path | None = None
) -> list[str]:
    """Return two tables of what a model finds of implanted lesions: by size, and by kind and size.

    See ``measure_on_lesions``.

    Raises:
        ValueError: If no scan can be used, or the model is not calibrated.
    """
    lines = []
    for contrast, group in sorted(_group_subjects(pipe, subjects, options, mask).items()):
        view = pipe.adapt_to(contrast)
        rows = measure_on_lesions(view, group, options, mask)
        keep_contrast(pipe, contrast, calibration=view.config.calibration)
        by_size = describe_detection_rates(pool_detection_rates(rows), pipe.config.postprocess["fpr"])
        lines += [*name_contrast(pipe, contrast), *by_size, "", *describe_sensitivity(rows)]
    return lines


def name_contrast(pipe: AnomalyPipeline, contrast: str) -> list[str]:
    """Return the line above the tables of a contrast; none where a model makes no difference between them.

    Args:
        pipe: The model.
        contrast: One of its contrasts, or "" for all others.
    """
    return [f"{contrast or 'All other contrasts'}:", ""] if pipe.config.contrasts else []


def _group_subjects(
    pipe: AnomalyPipeline, subjects: Sequence[Subject], options: Options, mask: str | Path | None
) -> dict[str, list[Subject]]:
    """Group subjects by contrast; one that cannot be read goes with the rest, and is named there."""
    contrasts = []
    for subject in subjects:
        try:
            contrasts.append(
                find_contrast(*read_healthy(subject, options, mask)) if pipe.config.contrasts else ""
            )
        except (ValueError, OSError):
            contrasts.append("")
    return group_by_contrast(pipe, subjects, contrasts) if subjects else {}


def _list_samples(
    pipe: AnomalyPipeline, subjects: Sequence[Subject], options: Options, mask: str | Path | None, seed: int
) -> Iterator[LesionSample]:
    call = replace(options, threshold=math.inf, sampler=None, score=None).call()
    with Progress(len(subjects)) as progress:
        pipe.progress_bar = progress.slices
        for subject in subjects:
            with progress.scan(subject.name):
                try:
                    volume, brain = read_healthy(subject, options, mask)
                    for kind in KINDS:
                        lesion_scan, lesions = implant_sizes(
                            volume, brain, kind, f"{seed}/{subject.name}/{kind}"
                        )
                        output = pipe(lesion_scan, brain.numpy(), **call)
                        lesions = lesions & output.analysed[0, 0]
                        map_3d = output.anomaly_map[0, 0]
                        yield LesionSample(kind, lesions, map_3d, volume.voxel_ml * 1000)
                except (ValueError, OSError) as error:
                    say(f"left out {subject.name}: {format_error(error)}", error)


def implant_sizes(volume: Volume, brain: Tensor, kind: str, key: str) -> tuple[Volume, Tensor]:
    """Implant one lesion of each of ``RADII_MM`` in a scan, apart from each other, as far as there is room.

    Args:
        volume: The scan.
        brain: Brain mask, (I, J, K), bool.
        kind: One of ``KINDS``.
        key: What places and shapes follow from.

    Returns:
        The changed scan, and the mask of the lesions (I, J, K).
    """
    digest = hashlib.blake2b(key.encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
    edge = float(volume.voxel_ml * 1000) ** (1 / 3)
    image = torch.from_numpy(volume.data).float()
    low, high = float(image[:, brain].min()), float(torch.quantile(image[:, brain].flatten()[::7], 0.999))
    unit = ((image - low) / max(high - low, 1e-6)).clamp(0, 1)
    lesions, room, healthy = torch.zeros_like(brain), brain.clone(), unit.clone()
    for radius in RADII_MM:
        size = (radius / edge, radius / edge)
        try:
            lesion = implant(unit, room[None], kind, generator, size)
        except ValueError:  # no room for a lesion of this size
            continue
        unit, lesions = lesion.image, lesions | lesion.mask[0]
        steps = math.ceil((GAP_MM + radius / 3) / edge)
        margin = ndimage.binary_dilation(lesion.mask[0].numpy(), iterations=steps)
        room = room & ~torch.from_numpy(margin)
    values = torch.where(unit != healthy, unit * (high - low) + low, image)
    return replace(volume, data=values.numpy().astype(volume.data.dtype)), lesions
