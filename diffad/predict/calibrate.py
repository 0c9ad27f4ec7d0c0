"""Thresholds and p-values of a model, measured anew on a user's own healthy scans."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffad.config.choices import HoldOut
from diffad.data.grouping import group_warnings
from diffad.inference.calibrating import (
    calibrate_contrasts,
    group_by_contrast,
    keep_contrast,
    keep_raw_maps,
)
from diffad.inference.domain import summarise_domain
from diffad.inference.features import ScanFeatures, measure_channels
from diffad.inference.healthy_scans import HealthyScan
from diffad.inference.output import AnomalyOutput
from diffad.io.subjects import Subject
from diffad.io.terminal import Progress, format_error, say
from diffad.pipeline import AnomalyPipeline
from diffad.predict.calibration_lines import describe_calibration as describe_calibration
from diffad.predict.calibration_lines import describe_calibrations as describe_calibrations
from diffad.predict.healthy_files import read_healthy as read_healthy
from diffad.predict.model_changes import choose_engine as choose_engine
from diffad.predict.model_changes import choose_units as choose_units
from diffad.predict.model_changes import save_model as save_model
from diffad.predict.options import Options
from diffad.predict.sampler_thresholds import calibrate_own_sampler
from diffad.threshold import RATES, Calibration


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
    options = calibrate_own_sampler(pipe, subjects, choose_engine(pipe, options), mask)
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


def _restate_scope(pipe: AnomalyPipeline) -> None:
    """Forget what the thresholds came from before."""
    if pipe.config.scope:
        pipe.register_to_config(scope={k: v for k, v in pipe.config.scope.items() if k != "calibrated_on"})


def _measure(output: AnomalyOutput) -> list[ScanFeatures]:
    assert output.volume is not None
    return measure_channels(output.volume, output.brain[0, 0])


def _look_at(
    pipe: AnomalyPipeline, subject: Subject, options: Options, mask: str | Path | None
) -> AnomalyOutput:
    volume, brain = read_healthy(subject, options, mask)
    call: dict[str, Any] = replace(options, threshold=math.inf).call()  # no mask is asked for
    return pipe(volume, brain.numpy(), **call)
