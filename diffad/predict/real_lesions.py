"""What a calibrated model finds of real lesions that a person outlined, at each of its thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from diffad.data.labels import read_rows
from diffad.data.masks import load_mask
from diffad.inference.calibrating import keep_contrast
from diffad.inference.contrasts import find_contrast
from diffad.inference.flagged import format_share
from diffad.inference.output import AnomalyOutput
from diffad.io.nifti import stem
from diffad.io.subjects import Subject
from diffad.io.terminal import Progress, format_error, say
from diffad.pipeline import AnomalyPipeline
from diffad.predict.healthy_files import read_healthy
from diffad.predict.options import Options
from diffad.predict.sensitivity import measure_samples, name_contrast
from diffad.threshold import Calibration
from diffad.threshold.detection_rates import describe_detection_rates, pool_detection_rates
from diffad.threshold.sensitivity import LesionSample

KIND = "real"
"""Kind of lesions of patients, beside the kinds that are implanted."""


@dataclass(frozen=True)
class LesionCase:
    """A scan with outlined lesions.

    Args:
        scan: The scan, without its skull or with a mask of its brain.
        lesions: Mask of its lesions, on the grid of the scan.
        brain: Mask of its brain, or none.
    """

    scan: Path
    lesions: Path
    brain: Path | None


def read_lesion_cases(table: Path) -> list[LesionCase]:
    """Read a CSV with the columns scan and lesions, and brain where scans have masks, beside their files.

    Args:
        table: The file; paths in it start at its folder.

    Raises:
        ValueError: If it cannot be read, or a row names no scan, no lesions or what is not there; the line is
            named.
    """
    _, rows = read_rows(table, "scans and lesions")
    cases = []
    for line, row in rows:
        if not {"scan", "lesions"} <= row.keys():
            names = ", ".join(row) or "nothing"
            raise ValueError(f"{table}, line {line}: expected scan and lesions, found {names}")
        paths = {name: table.parent / row[name] for name in ("scan", "lesions", "brain") if name in row}
        if absent := [path for path in paths.values() if not path.is_file()]:
            raise ValueError(f"{table}, line {line}: expected a file, found none at {absent[0]}")
        cases.append(LesionCase(paths["scan"], paths["lesions"], paths.get("brain")))
    if not cases:
        raise ValueError(f"{table}: expected scans and lesions, found no row")
    return cases


def describe_real_lesions(pipe: AnomalyPipeline, cases: Sequence[LesionCase], options: Options) -> list[str]:
    """Measure what a model finds of real lesions, give it the figures, and return a table for each contrast.

    Figures of real lesions from before make room for these; those of implanted ones stay. What of a lesion
    lies outside of what is analysed does not count, and is said, as are the warnings of each scan.

    Args:
        pipe: A model that was calibrated on whole scans.
        cases: Scans with outlined lesions, which must not be among those that it was trained on.
        options: How they are looked at.

    Raises:
        ValueError: If the model is not calibrated.
    """
    lines = []
    for contrast, samples in sorted(_map_cases(pipe, cases, options).items()):
        view = pipe.adapt_to(contrast)
        if not view.config.calibration:
            raise ValueError("expected a calibrated model, whose thresholds are to be measured, got none")
        calibration = Calibration.from_dict(view.config.calibration)
        rows = measure_samples(view, calibration, samples)
        kept = [row for row in calibration.sensitivity if row.kind != KIND]
        keep_contrast(pipe, contrast, calibration=replace(calibration, sensitivity=(*kept, *rows)).to_dict())
        table = describe_detection_rates(pool_detection_rates(rows), pipe.config.postprocess["fpr"])
        lines += ["", *name_contrast(pipe, contrast), *table]
    return lines


def _map_cases(
    pipe: AnomalyPipeline, cases: Sequence[LesionCase], options: Options
) -> Mapping[str, list[LesionSample]]:
    """Make the maps, by contrast; a scan that cannot be used costs no other, and is named."""
    samples: dict[str, list[LesionSample]] = {}
    with Progress(len(cases)) as progress:
        pipe.progress_bar = progress.slices
        for case in cases:
            name = stem(case.scan)
            with progress.scan(name):
                try:
                    contrast, sample = _map_case(pipe, case, options)
                except (ValueError, OSError) as error:
                    say(f"left out {name}: {format_error(error)}", error)
                else:
                    samples.setdefault(contrast, []).append(sample)
    if cases and not samples:
        say("warning: no scan with lesions could be used, so nothing is known of real ones")
    return samples


def _map_case(pipe: AnomalyPipeline, case: LesionCase, options: Options) -> tuple[str, LesionSample]:
    volume, brain = read_healthy(Subject(stem(case.scan), (case.scan,)), options, case.brain)
    contrasts = pipe.config.contrasts or {}
    contrast = find_contrast(volume, brain) if contrasts else ""
    contrast = contrast if contrast in contrasts else ""  # the settings of the model itself
    lesions = torch.from_numpy(load_mask(case.lesions, volume))
    call = replace(options, threshold=math.inf, sampler=None, score=None).call()
    output = pipe.adapt_to(contrast)(volume, brain.numpy(), **call)
    analysed_lesions = lesions & output.analysed[0, 0]
    _say_warnings(stem(case.scan), output, 1 - int(analysed_lesions.sum()) / int(lesions.sum()))
    return contrast, LesionSample(KIND, analysed_lesions, output.anomaly_map[0, 0], volume.voxel_ml * 1000)


def _say_warnings(name: str, output: AnomalyOutput, lost_share: float) -> None:
    """Say what makes the figures of a scan doubtful."""
    for warning in output.info.get("warnings", ()):
        say(f"warning: {name}: {warning}")
    if lost_share > 0:
        share = format_share(lost_share)
        say(f"warning: {name}: {share} of its lesions lies outside of what is analysed, and does not count")
