"""The command that compares two visits of one person."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffad.cli.options import (
    DEFAULT_MODEL,
    BatchSize,
    Bias,
    Brain,
    Device,
    Mask,
    MaskThreshold,
    MaxVoxels,
    Number,
    Prepare,
    Register,
    ScanModality,
    Seed,
    Slices,
    Trust,
    parse_mask_option,
    parse_slices,
    parse_threshold,
    parse_words,
    report_wrong_usage,
    require_sources,
)
from diffad.cli.predict_options import (
    KeepSmall,
    ModelChoice,
    Overwrite,
    Threshold,
    Verify,
    choose_preparation,
)
from diffad.config.reading import MAX_VOXELS
from diffad.io.terminal import say, tell

if TYPE_CHECKING:
    from diffad.follow_up.options import FollowUpOptions
    from diffad.follow_up.run import FollowUpSummary

OUTCOMES = {"done": "", "done before": "done before: ", "kept": "kept from other options: "}
"""What is said before a result, by its outcome."""


def compare_command(
    visit1: Annotated[
        Path, typer.Argument(metavar="VISIT1", help="NIfTI file of the first visit.", show_default=False)
    ],
    visit2: Annotated[
        Path, typer.Argument(metavar="VISIT2", help="NIfTI file of the second visit.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results"),
    model: ModelChoice = DEFAULT_MODEL,
    prepare: Prepare = False,
    modality: ScanModality = "mri",
    brain: Brain = "auto",
    register: Register = "affine",
    bias: Bias = True,
    mask: Mask = "",
    mask_threshold: MaskThreshold = None,
    slices: Slices = "",
    trust: Trust = None,
    max_voxels: MaxVoxels = MAX_VOXELS,
    threshold: Threshold = "",
    seed: Seed = 0,
    batch_size: BatchSize = 8,
    precision: Number = "auto",
    keep_small: KeepSmall = False,
    tolerance: Annotated[
        float, typer.Option(metavar="MM", help="How far apart two detections may lie that are one.")
    ] = 2.0,
    rescan: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="Look at so many simulated re-scans of the first visit, too, to know what noise gives; 0 "
            "takes what is known of the model.",
        ),
    ] = 0,
    dates: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Dates of both visits, as 2023-04-01,2024-03-15; else those in their JSON."
        ),
    ] = "",
    same_person: Annotated[
        bool, typer.Option("--same-person", help="Compare visits that look like those of two people.")
    ] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    verify: Verify = False,
) -> None:
    """Compare two visits of one person: what is new, gone, grown, shrunk or stable.

    Both are looked at as diffad predict does (in visit-1/ and visit-2/, which are left alone if they are
    finished), registered rigidly and brought to the space halfway between them. comparison/ gets a page, a
    picture, a table (changes.csv, comparison.json), scans, maps and detections of both on one grid, the
    difference of the maps, the subtraction of the scans, and the transforms for ITK. What re-scanning alone
    would give is said with every change. Visits that look like those of two people, or are of different
    sequences, are refused.

    \b
    Examples:
      diffad compare first_T1w.nii.gz second_T1w.nii.gz --out follow_up --mask _brain_mask
      diffad compare first.nii.gz second.nii.gz --out follow_up --prepare --dates 2023-04-01,2024-03-15
      diffad compare first.nii.gz second.nii.gz --out follow_up --rescan 3
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.follow_up.options import FollowUpOptions
    from diffad.predict import Options

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for visit in (visit1, visit2):
        require_sources([visit])
    with report_wrong_usage():
        mask_source = parse_mask_option(mask)
        looking = Options(
            threshold=parse_threshold(threshold),
            slices=parse_slices(slices),
            seed=seed,
            batch_size=batch_size,
            precision=precision,
            mask_threshold=mask_threshold,
            trust=trust,
            max_voxels=max_voxels,
            keep_small=keep_small,
        )
        options = FollowUpOptions(
            first=visit1,
            second=visit2,
            out=out,
            model=model,
            mask=mask_source,
            prepare=choose_preparation(modality, bias, brain, register, mask_source) if prepare else None,
            device=device,
            predict=looking,
            tolerance_mm=tolerance,
            rescan=rescan,
            dates=parse_words(dates),
            same_person=same_person,
            overwrite=overwrite,
            verify=verify,
        )
    raise typer.Exit(_compare_and_report(options))


def _compare_and_report(options: FollowUpOptions) -> int:
    """Compare the visits, say what came of it, and return the exit code."""
    from diffad.follow_up.run import compare_visits

    try:
        summary = compare_visits(options)
    except KeyboardInterrupt:
        say("stopped; finished visits are whole, run the same command to go on")
        return 130
    _report(summary)
    return int(summary.outcome == "kept")


def _report(summary: FollowUpSummary) -> None:
    from diffad.follow_up.record import PAGE

    record, page = summary.record, summary.folder / PAGE
    fields = {"headline": record["headline"], "changes": record["changes"], "warnings": record["warnings"]}
    text = f"{OUTCOMES[summary.outcome]}{record['headline']}; see {page}"
    tell(text, **fields, page=str(page), outcome=summary.outcome)
