"""The command that measures thresholds on healthy scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffad.cli.options import (
    DEFAULT_MODEL,
    BatchSize,
    Device,
    Engine,
    Mask,
    MaskThreshold,
    MaxVoxels,
    Model,
    Number,
    Slices,
    Trust,
    parse_mask_option,
    parse_part,
    parse_slices,
    report_wrong_usage,
)
from diffad.config.choices import HoldOut
from diffad.config.reading import MAX_VOXELS
from diffad.io.terminal import tell

if TYPE_CHECKING:
    from diffad.predict import Inputs, Options
    from diffad.threshold import Calibration


def calibrate_command(
    scan: Annotated[
        list[Path], typer.Argument(metavar="SCAN", help="Healthy NIfTI scans, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the calibrated model.")],
    model: Model = DEFAULT_MODEL,
    mask: Mask = "",
    mask_threshold: MaskThreshold = None,
    slices: Slices = "",
    trust: Trust = None,
    max_voxels: MaxVoxels = MAX_VOXELS,
    site: Annotated[
        str,
        typer.Option(
            metavar="folder|TABLE",
            help="Where scans were made, to state rates by site: the folders they lie in, or a CSV with the "
            "columns path and site.",
        ),
    ] = "",
    held_out: Annotated[
        HoldOut,
        typer.Option(
            help="What a map is not measured by, where maps are in units of healthy scans: its own scan, or "
            "all scans of its site, so that thresholds suit sites that are not among these. Needs --site.",
        ),
    ] = "scan",
    fpr: Annotated[
        list[float] | None,
        typer.Option(
            help="False-positive rate of pixels; may be repeated. By default 0.001, 0.005, 0.01, 0.02, 0.05 "
            "and 0.1."
        ),
    ] = None,
    sampler: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|YAML|KEY=VALUE",
            help="Another sampler, which becomes the model's own.",
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|YAML|KEY=VALUE", help="Another score, which becomes the model's own."),
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(
            metavar="place|none",
            help="Measure maps in units of healthy scans at the same place, or not; by default as the model.",
        ),
    ] = None,
    across: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            help="Smooth maps across slices by a Gaussian of this SD, 0 for none; by default as the model.",
        ),
    ] = None,
    sensitivity: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Implant lesions in the first N scans, and state what each threshold finds of them by kind "
            "and size, on the console, in the model and in sensitivity.md beside it.",
        ),
    ] = 0,
    patients: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE.csv",
            help="State also what each threshold finds of real lesions: a CSV with the columns scan and "
            "lesions, and brain for masks of brains, with paths beside it.",
        ),
    ] = None,
    batch_size: BatchSize = 8,
    precision: Number = "auto",
    engine: Engine = "torch",
    device: Device = "auto",
) -> None:
    """Measure a model's thresholds and p-values on healthy scans of your own, and save a model with them.

    A threshold holds for the scanner, the population and the engine it was measured with. Beside each nominal
    rate stands the rate that was achieved on scans left out: each half of the scans takes the thresholds of
    the other.

    \b
    Examples:
      diffad calibrate controls/ --mask _brain_mask --out models/ours
      diffad calibrate siteA/ siteB/ --mask _brain_mask --site folder --normalise place --out models/both
      diffad calibrate siteA/ siteB/ --site folder --held-out site --out models/for_others
      diffad calibrate controls/ --sampler "{name: resampled}" --out models/resampled
      diffad calibrate controls/ --sensitivity 3 --patients patients.csv --out models/ours
      diffad calibrate controls/ --engine openvino --out models/ours
      diffad predict patients/ --mask _brain_mask --model models/ours --out maps
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.io.paths import require_new_folder
    from diffad.predict import Inputs, Options

    require_new_folder(out, "the model")
    mask_source = parse_mask_option(mask)
    with report_wrong_usage():
        options = Options(
            sampler=parse_part("sampler", sampler or []),
            score=parse_part("score", score or []),
            slices=parse_slices(slices),
            batch_size=batch_size,
            precision=precision,
            engine=engine,
            trust=trust,
            max_voxels=max_voxels,
            mask_threshold=mask_threshold,
        )
        inputs = Inputs(scan, model, out, mask_source, device=device)
    _calibrate(inputs, options, (normalise, across), site, held_out, fpr, sensitivity, patients)


def _calibrate(
    inputs: Inputs,
    options: Options,
    units: tuple[str | None, float | None],
    site: str,
    held_out: HoldOut,
    fpr: list[float] | None,
    sensitivity: int,
    patients: Path | None,
) -> None:
    """Measure a model, save it, and say what came out."""
    from diffad.io.subjects import find_scans
    from diffad.predict.calibrate import calibrate_on
    from diffad.predict.listing import list_subjects
    from diffad.predict.model_changes import choose_units, save_model
    from diffad.predict.real_lesions import describe_real_lesions, read_lesion_cases
    from diffad.predict.run import choose_device, load_model
    from diffad.predict.sensitivity import describe_lesions
    from diffad.predict.sites import read_sites, require_sites
    from diffad.threshold import RATES

    out, mask = inputs.out, inputs.mask
    cases = read_lesion_cases(patients) if patients else []
    listing = list_subjects(inputs, find_scans(inputs.sources, out, mask))
    subjects = listing.subjects
    pipe = load_model(inputs.model, choose_device(inputs.device))
    with report_wrong_usage():
        choose_units(pipe, *units)
    sites = read_sites(site, subjects, inputs.sources)
    with report_wrong_usage():
        require_sites(held_out, sites.values(), pipe.config.postprocess["normalise"])
    calibrations = calibrate_on(pipe, subjects, options, mask, fpr or RATES, sites, held_out)
    table = describe_lesions(pipe, subjects[:sensitivity], options, mask)
    table += describe_real_lesions(pipe, cases, options)
    save_model(pipe, out, table)
    _report_rates(calibrations, len(subjects), table, out)
    _report_end(listing.describe(), out)


def _report_rates(
    calibrations: Mapping[str, Calibration], subjects: int, table: Sequence[str], out: Path
) -> None:
    """Say thresholds and rates; programs hear those of the model's own settings, or of the only contrast."""
    from diffad.predict.calibration_lines import describe_calibrations

    calibration = calibrations.get("") or next(iter(calibrations.values()))
    rates = {"thresholds": calibration.thresholds, "achieved": calibration.achieved, "out": str(out)}
    rates |= {"engine": calibration.engine, "precision": calibration.precision}
    tell(*describe_calibrations(calibrations, subjects).splitlines(), *table, **rates)


def _report_end(notes: Sequence[str], out: Path) -> None:
    from diffad.io.terminal import say

    for note in notes:
        say(f"note: {note}")
    tell(f"see {out}; use it with --model {out}")
