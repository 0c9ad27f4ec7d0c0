"""Thresholds and p-values of a model, measured anew on a user's own healthy scans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffad.config import PartSpec, PostprocessConfig, from_dict, to_dict
from diffad.config.choices import HoldOut
from diffad.data.grouping import group_warnings
from diffad.data.head import head_warning
from diffad.data.volume import Volume, VolumeError
from diffad.inference import scan as scans
from diffad.inference.calibrating import (
    calibrate_contrasts,
    calibrate_samplers,
    group_by_contrast,
    keep_contrast,
    keep_raw_maps,
)
from diffad.inference.detector import Detector
from diffad.inference.domain import summarise_domain
from diffad.inference.features import ScanFeatures, measure_channels
from diffad.inference.healthy_scans import HealthyScan
from diffad.inference.output import AnomalyOutput
from diffad.inference.precision import resolve_precision
from diffad.inference.scope import ModelScope
from diffad.inference.slice_range import choose_slices
from diffad.inference.stacking import make_stacks, measure_windows
from diffad.io.atomic import staged_folder
from diffad.io.paths import require_new_folder
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import Progress, format_error, say
from diffad.pipeline import AnomalyPipeline
from diffad.predict.options import Options
from diffad.threshold import RATES, Calibration, calibrate_thresholds
from diffad.threshold.describe import describe_whole_scans


def calibrate_on(
    pipe: AnomalyPipeline,
    subjects: Sequence[Subject],
    options: Options,
    mask: str | Path | None = None,
    rates: Sequence[float] = RATES,
    sites: Mapping[str, str] | None = None,
    held_out: HoldOut = "scan",
) -> dict[str, Calibration]:
    """Measure a model on healthy scans, and give it what was found, for each of its contrasts apart.

    A scan that cannot be used is reported and left out, and so is one that still has its skull and comes
    without a mask, as it would shift the thresholds. Warnings of the others are said once for each kind.

    Args:
        pipe: The model.
        subjects: Healthy scans it was not trained on.
        options: How they are looked at; its parts become the model's own, as a threshold suits no other. A
            sampler that cuts a map of its own gets the threshold of that first.
        mask: Brain mask of all scans, or the end of the masks' names; none takes the non-zero voxels.
        rates: Pixel false-positive rates, in [0, 1).
        sites: Where each subject was scanned, by its name; none where nobody says.
        held_out: What a map is not measured by: its scan, or all of its site.

    Returns:
        Thresholds by contrast, those of scans of no contrast of the model under "".

    Raises:
        ValueError: If no scan can be used, a rate is out of range, or the engine cannot be used.
        ImportError: If a package of the engine is missing.
    """
    options = _calibrate_sampler(pipe, subjects, choose_engine(pipe, options), mask)
    features: list[list[ScanFeatures]] = []
    scans: list[HealthyScan] = []
    warnings: dict[str, list[str]] = {}
    is_whole = True
    with Progress(len(subjects)) as progress, keep_raw_maps(pipe):
        pipe.progress_bar = progress.slices
        for subject in subjects:
            with progress.scan(subject.name):
                try:
                    output = _look_at(pipe, subject, options, mask)
                    scans.append(HealthyScan.of(output, (sites or {}).get(subject.name, "")))
                    is_whole &= output.info["coverage"]["brain_share"] == 1
                    features.append(_measure(output))
                    warnings[str(subject.paths[0])] = output.info["warnings"]
                except (ValueError, OSError) as error:
                    say(f"left out {subject.name}: {format_error(error)}", error)
    for warning in group_warnings(warnings, len(scans)):
        say(f"warning: {warning}")
    overrides = options.method.over(pipe.method).to_overrides()
    pipe.register_to_config(**overrides)
    contrasts = [scan.contrast for scan in scans]
    for contrast, group in group_by_contrast(pipe, features, contrasts).items():
        keep_contrast(pipe, contrast, domain=summarise_domain(group))
    _restate_scope(pipe)
    calibrations = calibrate_contrasts(pipe, scans, rates, is_whole, options.precision, held_out)
    _say_single_sites(calibrations, held_out)
    return calibrations


def _say_single_sites(calibrations: Mapping[str, Calibration], held_out: HoldOut) -> None:
    """Say of which contrast no site could be left out, as all scans that could be used are of one."""
    for contrast, calibration in calibrations.items():
        if held_out == "site" and calibration.held_out != "site":
            subject = f"scans of {contrast}" if contrast else "scans"
            say(f"warning: {subject} that could be used are of one site, which is not left out")


def choose_engine(pipe: AnomalyPipeline, options: Options) -> Options:
    """Let the engine that is asked for run a model, and return the options with its number format settled.

    Args:
        pipe: The model.
        options: How scans are looked at; no engine leaves that of the model.

    Raises:
        ValueError: If the engine cannot run the model here, or not in that format.
        ImportError: If a package is missing.
    """
    if options.engine:
        pipe.to_engine(options.engine)
    precision = resolve_precision(options.precision, pipe.device, pipe.engine.name)
    pipe.detector(options.method, precision=precision, batch_size=options.batch_size)  # fails here, at once
    return replace(options, precision=precision)


def _restate_scope(pipe: AnomalyPipeline) -> None:
    """Forget what the thresholds came from before."""
    if pipe.config.scope:
        pipe.register_to_config(scope={k: v for k, v in pipe.config.scope.items() if k != "calibrated_on"})


def choose_units(pipe: AnomalyPipeline, normalise: str | None, across: float | None = None) -> None:
    """Let a model measure maps in units of healthy scans by place, or not, and smooth them across slices.

    Args:
        pipe: The model.
        normalise: "place" or "none"; none leaves what it does.
        across: SD in mm; none leaves it.

    Raises:
        ValueError: If a value is out of range, or the model takes no volumes.
    """
    options = {"normalise": normalise, "across": across}
    if changes := {key: value for key, value in options.items() if value is not None}:
        post = to_dict(from_dict(PostprocessConfig, {**pipe.config.postprocess, **changes}))
        pipe.register_to_config(postprocess=post)


def _measure(output: AnomalyOutput) -> list[ScanFeatures]:
    assert output.volume is not None
    return measure_channels(output.volume, output.brain[0, 0])


def save_model(pipe: AnomalyPipeline, out: Path, table: Sequence[str] = ()) -> None:
    """Write a model to a new folder, whole or not at all.

    Args:
        pipe: The model.
        out: The folder.
        table: What it finds of lesions, for ``sensitivity.md``; empty for no such file.

    Raises:
        ValueError: If there is something.
        OSError: If it cannot be written.
    """
    require_new_folder(out, "the model")
    with staged_folder(out) as partial:
        pipe.save_pretrained(partial)
        if table:
            (partial / "sensitivity.md").write_text("\n".join(table) + "\n", encoding="utf-8")
        require_new_folder(out, "the model")  # someone may have come first meanwhile


def describe_calibrations(calibrations: Mapping[str, Calibration], scans: int) -> str:
    """Say what each contrast was calibrated to; see ``describe_calibration``."""
    texts = [
        (f"{contrast}: " if contrast else "") + describe_calibration(calibration, scans)
        for contrast, calibration in calibrations.items()
    ]
    return "\n".join(texts)


def describe_calibration(calibration: Calibration, scans: int) -> str:
    """Say for each nominal rate the threshold, and the rate it reached on scans that were left out."""
    engine = f", {calibration.engine} in {calibration.precision}" if calibration.engine else ""
    held_out = ", each measured without its site" if calibration.held_out == "site" else ""
    lines = [f"{calibration.scans} of {scans} scans, {calibration.pixels:,} voxels{engine}{held_out}"]
    for rate, threshold in sorted(calibration.thresholds.items()):
        rate_text = (
            f"{calibration.achieved[rate]:.4f}" if rate in calibration.achieved else "unknown (one scan)"
        )
        lines.append(
            f"  nominal FPR {rate:g}: threshold {threshold:.5g}, achieved on left-out scans {rate_text}"
        )
    lines += describe_whole_scans(calibration.whole) if calibration.whole else []
    return "\n".join(lines)


def _calibrate_sampler(
    pipe: AnomalyPipeline, subjects: Sequence[Subject], options: Options, mask: str | Path | None
) -> Options:
    """Measure what a sampler cuts of its own on the scans; return the options with it."""
    settings: dict[str, Any] = {
        "seed": options.seed,
        "batch_size": options.batch_size,
        "precision": options.precision,
    }

    def build(sampler: PartSpec) -> Detector:
        return pipe.detector(replace(options.method, sampler=sampler), **settings)

    known_mm = ModelScope.of(pipe.config).range_mm

    def measure(maps: Detector, fpr: float) -> float:
        values = []
        for subject in subjects:
            with suppress(ValueError, OSError):  # the scan is named when it is scored
                values.append(_look_at_subject(maps, subject, options, mask, known_mm))
        return calibrate_thresholds(((v, None) for v in values), [fpr]).threshold(fpr)

    own = options.method.over(pipe.method).sampler
    sampler = calibrate_samplers(own, build, measure) if own else own
    return options if sampler == own else replace(options, sampler=sampler)


def _look_at_subject(
    maps: Detector,
    subject: Subject,
    options: Options,
    mask: str | Path | None,
    known_mm: tuple[float, float] | None,
) -> Tensor:
    """Return the scores of a scan inside the brain, on the model's grid."""
    source = _read_subject(subject, options, mask)
    values, space = [], maps.space.config
    selection = choose_slices(source, space.axis, options.slices, known_mm)
    stacks = make_stacks(source, space.axis, selection.slices, space.neighbours)
    for stack, window in zip(stacks, measure_windows(source, maps.space), strict=True):
        where = (stack.spacing, stack.centre, window)
        x, brain, placement = maps.space.place(stack.image, stack.brain, *where)
        neighbours = maps.space.place_neighbours(x, brain, stack.neighbours, placement)
        values.append(maps.maps(x, brain, stack.keys, neighbours=neighbours).anomaly[brain > 0])
    return torch.cat(values)


def _look_at(
    pipe: AnomalyPipeline, subject: Subject, options: Options, mask: str | Path | None
) -> AnomalyOutput:
    source = _read_subject(subject, options, mask)
    assert source.volume is not None
    call: dict[str, Any] = replace(options, threshold=math.inf).call()  # no mask is asked for
    return pipe(source.volume, source.brain[0, 0].numpy(), **call)


def read_healthy(subject: Subject, options: Options, mask: str | Path | None = None) -> tuple[Volume, Tensor]:
    """Read a healthy scan and its brain mask (I, J, K).

    Raises:
        ValueError: If it cannot be used, or is a head without a mask.
        OSError: If it cannot be read.
    """
    source = _read_subject(subject, options, mask)
    assert source.volume is not None
    return source.volume, source.brain[0, 0]


def _read_subject(subject: Subject, options: Options, mask: str | Path | None) -> scans.ScanSource:
    """Read a scan and its brain.

    Raises:
        VolumeError: If it cannot be used, or is a head without a mask, which would shift the thresholds.
    """
    path = find_subject_mask(subject, mask)
    source = scans.read_source(Volume.load(subject.paths, options=options.reading), path)
    assert source.volume is not None
    warning = head_warning(source.brain[0, 0].numpy(), source.volume.voxel_ml)
    if path is None and warning:
        raise VolumeError(f"{source.name}: {warning}")
    return source
